#!/bin/sh
# smoke.sh BASE_URL: whether the service there does what it is for. Nothing is sent, no message is stored.
#
# Needs curl. What else it looks at, from the environment:
#   SMOKE_API_KEY      a key with the scope `read`: reads a page of conversations
#   SMOKE_AUTH_TOKEN   Twilio's auth token: reports on a message that nobody knows, signed with openssl
#                      (the report is kept for KEEP_PARKED_EVENTS, then it is deleted)
#   SMOKE_PUBLIC_URL   what the signature covers, the service's PUBLIC_BASE_URL; BASE_URL unless given
#   SMOKE_VERSION      the version that must answer
#   SMOKE_WEBHOOKS=off where something before the service lets only Twilio's addresses call webhooks
#
# Ends with 0 where all is well, with 1 where something is not, with 2 where it was called wrongly.
set -eu

if [ $# -ne 1 ] || ! command -v curl >/dev/null; then
    echo "usage: smoke.sh BASE_URL (curl is needed)" >&2
    exit 2
fi
base=${1%/}
public=${SMOKE_PUBLIC_URL:-$base}
public=${public%/}

# A service that just woke up may refuse the first connections; an answer is never asked for twice.
connect_tries=10
answer=$(mktemp)
trap 'rm -f "$answer"' EXIT
failed=0

# request PATH [CURL OPTION...]: leaves the answer in $answer and gives its status, 000 without one.
request() {
    path=$1
    shift
    curl --silent --show-error --output "$answer" --write-out '%{http_code}' \
        --connect-timeout 5 --max-time 15 --retry "$connect_tries" --retry-connrefused --retry-delay 1 \
        --retry-max-time 30 --header 'X-Request-ID: smoke-test' "$@" "$base$path" || true
}

# expect WHAT STATUS EXPECTED [PATTERN...]: the answer has that status and holds each pattern.
expect() {
    what=$1 status=$2 expected=$3
    shift 3
    missing=
    for pattern in "$@"; do
        grep -q "$pattern" "$answer" || missing="$missing $pattern"
    done
    if [ "$status" = "$expected" ] && [ -z "$missing" ]; then
        echo "ok      $what"
        return
    fi
    failed=1
    echo "FAILED  $what: $status instead of $expected${missing:+; not in the answer:$missing}"
}

# The key is read from standard input, so that no list of processes shows it.
request_with_key() {
    printf 'header = "Authorization: Bearer %s"\n' "$SMOKE_API_KEY" | request "$1" --config -
}

# sign TEXT: as Twilio does.
sign() {
    printf '%s' "$1" | openssl dgst -sha1 -hmac "$SMOKE_AUTH_TOKEN" -binary | openssl base64
}

# report SIGNATURE STATUS: a delivery report about $sid.
report() {
    request "/webhook/twilio/status" --header "X-Twilio-Signature: $1" \
        --data-urlencode "MessageSid=$sid" --data-urlencode "MessageStatus=$2"
}

health() {
    expect "it is healthy" "$(request /health)" 200 '"ok":true' '"db":"ok"' \
        ${SMOKE_VERSION:+"\"version\":\"$SMOKE_VERSION\""}
    expect "it is ready" "$(request /health/ready)" 200 '"ok":true'
    expect "it is alive" "$(request /health/live)" 200 '"ok":true'
}

strangers() {
    expect "an unknown path is answered in the envelope" "$(request /no/such/path)" 404 \
        '"code":"sms.not_found"' '"requestId":"smoke-test"' '"timestamp"'
    [ "${SMOKE_WEBHOOKS:-on}" != off ] || return 0
    expect "a webhook without a signature is refused" \
        "$(request /webhook/twilio/sms --data 'MessageSid=SM0&Body=forged')" 403 '"error"'
    expect "a forged webhook is refused" \
        "$(request /webhook/twilio/sms --data 'MessageSid=SM0&Body=forged' \
            --header 'X-Twilio-Signature: c21va2UgdGVzdCBmb3JnZXJ5IQ==')" 403 '"error"'
}

callers() {
    expect "without a key nobody reads" "$(request '/conversations?limit=1')" 401 '"sms.unauthorized"'
    expect "with a key conversations are read" "$(request_with_key '/conversations?limit=1')" 200 \
        '"conversations":\['
}

twilio() {
    sid=SM$(openssl rand -hex 16)
    signature=$(sign "$public/webhook/twilio/statusMessageSid${sid}MessageStatussent")
    expect "a signed report is taken" "$(report "$signature" sent)" 204
    expect "its signature fits nothing else" "$(report "$signature" delivered)" 403
}

health
strangers
if [ -n "${SMOKE_API_KEY:-}" ]; then callers; else echo "-       no SMOKE_API_KEY: nothing was read"; fi
if [ "${SMOKE_WEBHOOKS:-on}" = off ]; then
    echo "-       SMOKE_WEBHOOKS=off: no webhook was called"
elif [ -n "${SMOKE_AUTH_TOKEN:-}" ]; then
    twilio
else
    echo "-       no SMOKE_AUTH_TOKEN: nothing was signed"
fi
exit "$failed"
