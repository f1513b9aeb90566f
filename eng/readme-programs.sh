#!/usr/bin/env bash
# Builds and runs the programs of README.md as they stand there, as a newcomer would: eng/readme-programs.sh PACKAGES FOLDER POSTGRES
# PACKAGES holds the packages, FOLDER is made, POSTGRES is a connection string without a database, for the program that needs a server.
set -euo pipefail
packages=$(realpath "$1") postgres=$3
mkdir -p "$2"
folder=$(realpath "$2")
cd "$(dirname "${BASH_SOURCE[0]}")/.."
readme=$PWD/README.md
# Packages of an earlier run have the same version and other contents: the cache of this run is its own.
export NUGET_PACKAGES=$folder/cache

# The n-th block of a language in README.
block() {
    awk -v fence="\`\`\`$1" -v wanted="$2" '
        $0 == fence { inside = (++seen == wanted); next }
        $0 == "```" { inside = 0 }
        inside' "$readme"
}

# new NAME BLOCK PACKAGE...: a worker project with the block as its program.
new() {
    local name=$1 number=$2 package
    shift 2
    mkdir -p "$folder/$name" && cd "$folder/$name"
    cp -r "$packages" packages
    block xml 1 >nuget.config
    [ -s nuget.config ]
    dotnet new worker --force >/dev/null
    for package in "$@"; do dotnet add package "$package" >/dev/null; done
    block csharp "$number" >Program.cs
    [ -s Program.cs ]
}

new first 1 Kv.EfCore.Sqlite Kv.Hosting
# From the second start on it must tell the new total, and not what was there before.
dotnet run | tee first.txt
dotnet run | tee second.txt
grep -q 'ada: 1999 cents' first.txt
grep -q 'ada: 3998 cents' second.txt

new second 2 Kv.EfCore.PostgreSql
grep -q 'Host=localhost;Database=app' Program.cs
sed -i "s/Host=localhost;Database=app/$postgres;Database=readme/" Program.cs
dotnet run
dotnet run
