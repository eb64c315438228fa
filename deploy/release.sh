#!/bin/sh
# What a release does with the revisions of the Cloud Run service in $PROJECT and $REGION:
#
#   release.sh candidate IMAGE   starts a revision without traffic, prints where it answers
#   release.sh promote           gives it all the traffic; who had it becomes `previous`
#   release.sh rollback          gives it back to `previous`
#   release.sh prune COUNT       deletes all revisions but the latest COUNT and those with traffic or a tag
#
# Needs gcloud and jq. Which revision is which is kept in Cloud Run's own tags, so nothing can disagree.
set -eu

service=${SERVICE:-sms-foundation}

run() {
    gcloud run --project "$PROJECT" --region "$REGION" --quiet "$@"
}

# traffic FILTER: what jq finds in the list of who gets traffic or has a tag.
traffic() {
    run services describe "$service" --format json | jq --raw-output ".status.traffic[] | $1"
}

candidate() {
    run deploy "$service" --image "$1" --no-traffic --tag candidate >&2
    traffic 'select(.tag == "candidate") | .url'
}

promote() {
    serving=$(traffic 'select(.percent == 100) | .revisionName' | head -n 1)
    if [ -n "$serving" ]; then
        run services update-traffic "$service" --update-tags "previous=$serving"
    fi
    run services update-traffic "$service" --to-tags candidate=100
}

rollback() {
    if [ -z "$(traffic 'select(.tag == "previous") | .revisionName')" ]; then
        echo "there is no revision to go back to: name one with 'gcloud run services update-traffic --to-revisions'" >&2
        exit 1
    fi
    run services update-traffic "$service" --to-tags previous=100
}

prune() {
    kept=$(traffic '.revisionName')
    run revisions list --service "$service" --sort-by '~metadata.creationTimestamp' \
        --format 'value(metadata.name)' | tail -n "+$(($1 + 1))" | while read -r revision; do
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
promote | rollback) "$1" ;;
*)
    echo "usage: release.sh candidate IMAGE | promote | rollback | prune COUNT" >&2
    exit 2
    ;;
esac
