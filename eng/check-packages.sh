#!/usr/bin/env bash
# Looks into the packages of a folder as a reader of the gallery would: eng/check-packages.sh PACKAGES NAME...
set -euo pipefail
packages=$(realpath "$1")
shift
cd "$(dirname "${BASH_SOURCE[0]}")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

. eng/checks.sh

# Links to files of the repository, which lead nowhere from a package. README has some itself, so the search finds them.
relative_links() {
    grep -oE '\]\([^)]*\)' "$1" | grep -vE '^\]\((https?://|#)' || true
}

# Sources without their history say no commit.
commit=$(git rev-parse HEAD 2>/dev/null || true)
facts=('<license type="expression">MIT</license>' '<readme>README.md</readme>' '<icon>icon.png</icon>' '<tags>' '<description>')
[ -z "$commit" ] || facts+=('type="git"' "commit=\"$commit\"")

[ -n "$(relative_links README.md)" ] || fail 'No link was found in README.'
for name in "$@"; do
    file=$(ls "$packages/$name".[0-9]*.nupkg)
    version=$(basename "${file#"$packages/$name".}" .nupkg)
    unzip -q "$file" -d "$work/$name"
    nuspec=$work/$name/$name.nuspec
    for text in "${facts[@]}"; do
        has "$nuspec" "$text"
    done
    [ -z "$(relative_links "$work/$name/README.md")" ] || fail "$name has links to files of the repository."
    cmp eng/icon.png "$work/$name/icon.png"
    # No folder of the machine that packs, a remote that is one included.
    ! grep -E 'file:|url="/' "$nuspec" || fail "$name names a folder."
    if [ -e "$work/$name/lib" ]; then
        unzip -Z1 "$packages/$name.$version.snupkg" >"$work/symbols.txt"
        has "$work/symbols.txt" "lib/net10.0/$name.pdb"
        # They are kept whole, and do not say otherwise.
        ! grep -aqE 'IsTrimmable|IsAotCompatible' "$work/$name/lib/net10.0/$name.dll" || fail "$name says that it can be trimmed."
        # All of one version ask for each other.
        ! grep -E 'id="Kv\.' "$nuspec" | grep -v "version=\"$version\"" || fail "$name asks for another version."
    fi
done
# 8 bytes of signature, 8 of the first chunk's head, then width and height.
[ "$(od -An -tx1 -j16 -N8 eng/icon.png | tr -d ' \n')" = 0000008000000080 ] || fail 'The icon is not 128 pixels wide and high.'

# Where the repository is known, README's links lead to its pages at the commit that was packed.
readme=$(dotnet msbuild src/Kv.EfCore -t:KvPackReadme -p:RepositoryUrl=https://git.example/efkv.git -p:Configuration=Release \
    -p:IntermediateOutputPath="$work/obj/" -getItem:None)
has <(printf '%s' "$readme") "$work/obj/README.md"
while read -r link; do
    has "$work/obj/README.md" "](https://git.example/efkv/blob/$commit/${link#](}"
done < <(relative_links README.md)
[ -z "$(relative_links "$work/obj/README.md")" ] || fail 'A link of README stays as it is.'
