#!/bin/sh
# verify_submissions.sh [BASE]: verify the bundles that changed since commit BASE, or all; exit 1 where something does not hold.
# RERUN: how many cells of each bundle are computed again (default 1; 0 = none).
set -eu

base=${1:-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bad=0

refuse() {
    echo "refused: $1" >&2
    bad=1
}

if [ -n "$base" ]; then
    git diff --name-only --diff-filter=d "$base" -- submissions >"$work/changed"
else
    find submissions -type f ! -name .gitkeep >"$work/changed"
fi

while IFS= read -r file; do
    name=${file#submissions/}
    case $name in
        .gitkeep | *.tar.gz.minisig) continue ;;
        .* | -* | *[!A-Za-z0-9._-]*) refuse "$file: a name has letters, digits, '.', '_' and '-' only"; continue ;;
        *.tar.gz) ;;
        *) refuse "$file is no bundle; make one by: findna-bench results bundle --to submissions/NAME.tar.gz"; continue ;;
    esac
    submitter=${name%.tar.gz}
    # A key that comes with the submission it is to check proves nothing: the one from before counts, where there was one.
    key=$work/key.pub
    rm -f "$key"
    if [ -n "$base" ] && git show "$base:keys/$submitter.pub" >"$key" 2>/dev/null; then
        :
    elif [ -f "keys/$submitter.pub" ]; then
        cp "keys/$submitter.pub" "$key"
    else
        rm -f "$key"
    fi
    echo "== $file"
    if [ -f "$key" ]; then
        findna-bench verify "$file" --rerun "${RERUN:-1}" --key "$key" </dev/null || refuse "$file"
    else
        echo "not signed: there is no keys/$submitter.pub"
        findna-bench verify "$file" --rerun "${RERUN:-1}" </dev/null || refuse "$file"
    fi
done <"$work/changed"

# Submissions must not contradict each other.
if [ "$bad" = 0 ] && [ -n "$(find submissions -name '*.tar.gz' | head -n 1)" ]; then
    findna-bench leaderboard --submissions submissions --site "$work/site" </dev/null || refuse "submissions contradict each other"
fi
exit "$bad"
