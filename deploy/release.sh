#!/bin/sh
# What a release does with the revisions of the Cloud Run service in $PROJECT and $REGION:
#
#   release.sh candidate IMAGE   starts a revision without traffic, prints where it answers
#   release.sh remember          who has all the traffic becomes `previous`
#   release.sh promote           that, and then the candidate has all the traffic
#   release.sh settings          promotes what `terraform apply` made: the image that runs, set up anew
#   release.sh rollback          gives all the traffic back to `previous`
#   release.sh prune COUNT       deletes all revisions but the latest COUNT and those with traffic or a tag
#
# Needs gcloud and jq. Which revision is which is kept in Cloud Run's own tags, so nothing can disagree.
# What gcloud says is read to its end before it is used: in a pipe nobody would see that it failed.
set -eu

service=${SERVICE:-sms-foundation}

run() {
    gcloud run --project "$PROJECT" --region "$REGION" --quiet "$@"
}

# status FILTER: what jq finds in the service's status.
status() {
    described=$(run services describe "$service" --format json)
    printf '%s\n' "$described" | jq --raw-output ".status | $1"
}

# tagged TAG: which revision has it; nothing where none has.
tagged() {
    status ".traffic[]? | select(.tag == \"$1\") | .revisionName"
}

# serving: which revision has all the traffic; nothing where none has any. Fails where several share it.
serving() {
    status '[.traffic[]? | select(.percent > 0) | .revisionName] | unique
        | if length > 1 then "traffic is split between \(join(", ")): give one of them all of it\n" | halt_error(1)
          else .[] end'
}

# image REVISION: what it runs. A collector beside it has no port.
image() {
    described=$(run revisions describe "$1" --format json)
    printf '%s\n' "$described" | jq --raw-output '.spec.containers | map(select(.ports)) + . | .[0].image'
}

candidate() {
    run deploy "$service" --image "$1" --no-traffic --tag candidate >&2
    url=$(status '.traffic[]? | select(.tag == "candidate") | .url')
    if [ -z "$url" ]; then
        echo "Cloud Run does not say where the candidate answers" >&2
        exit 1
    fi
    echo "$url"
}

remember() {
    serves=$(serving)
    started=$(tagged candidate)
    # A promotion that is repeated must not go back to what it has promoted.
    if [ -n "$serves" ] && [ "$serves" != "$started" ]; then
        run services update-traffic "$service" --update-tags "previous=$serves"
    fi
}

promote() {
    remember
    run services update-traffic "$service" --to-tags candidate=100
}

settings() {
    latest=$(status 'if .latestCreatedRevisionName == .latestReadyRevisionName then .latestReadyRevisionName
        else "the latest revision, \(.latestCreatedRevisionName), is not ready\n" | halt_error(1) end')
    serves=$(serving)
    if [ "$latest" = "$serves" ]; then
        echo "$latest is the latest revision and has all the traffic already" >&2
        return
    fi
    # Terraform keeps the image that was deployed last. After a rollback that is the bad one.
    deployed=$(image "$latest")
    good=$(image "$serves")
    if [ "$deployed" != "$good" ]; then
        echo "$latest, the latest revision, has another image than $serves, which has the traffic. To have that" >&2
        echo "image with the new settings: release.sh candidate $good, then release.sh promote" >&2
        exit 1
    fi
    run services update-traffic "$service" --update-tags "candidate=$latest"
    promote
}

rollback() {
    before=$(tagged previous)
    if [ -z "$before" ]; then
        echo "there is no revision to go back to: name one with 'gcloud run services update-traffic --to-revisions'" >&2
        exit 1
    fi
    run services update-traffic "$service" --to-tags previous=100
}

prune() {
    kept=$(status '.traffic[]? | .revisionName')
    revisions=$(run revisions list --service "$service" --sort-by '~metadata.creationTimestamp' \
        --format 'value(metadata.name)')
    for revision in $(printf '%s\n' "$revisions" | tail -n "+$(($1 + 1))"); do
        if ! printf '%s\n' "$kept" | grep -qx "$revision"; then
            run revisions delete "$revision"
        fi
    done
}

case ${1:-} in
candidate | prune)
    [ $# -eq 2 ] || { echo "release.sh $1 needs one argument" >&2 && exit 2; }
    "$1" "$2"
    ;;
remember | promote | settings | rollback) "$1" ;;
*)
    echo "usage: release.sh candidate IMAGE | remember | promote | settings | rollback | prune COUNT" >&2
    exit 2
    ;;
esac
