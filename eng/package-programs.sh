#!/usr/bin/env bash
# Builds and runs programs from the packages, as a newcomer would: eng/package-programs.sh PACKAGES FOLDER POSTGRES CHECK
# PACKAGES holds the packages, FOLDER is made, POSTGRES is a connection string without a database, for the program that needs a server.
# CHECK names one of the functions below that begin with check_. It ends with 77 where the feeds lack what it needs besides the packages.
set -euo pipefail
packages=$(realpath "$1") postgres=$3
mkdir -p "$2"
folder=$(realpath "$2")
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD
# Packages of an earlier run have the same version and other contents: the cache of this run is its own.
export NUGET_PACKAGES=$folder/cache

# The n-th block of a language in a page.
block() {
    awk -v fence="\`\`\`$1" -v wanted="$2" '
        $0 == fence { inside = (++seen == wanted); next }
        $0 == "```" { inside = 0 }
        inside' "$root/${3:-README.md}"
}

# enter NAME: an empty folder that finds the packages.
enter() {
    rm -rf "${folder:?}/$1"
    mkdir "$folder/$1" && cd "$folder/$1"
    cp -r "$packages" packages
    block xml 1 >nuget.config
    [ -s nuget.config ]
}

# new NAME PACKAGE...: a worker project with the input as its program.
new() {
    local package
    enter "$1"
    shift
    dotnet new worker --force >/dev/null </dev/null
    for package in "$@"; do dotnet add package "$package" >/dev/null </dev/null; done
    cat >Program.cs
    [ -s Program.cs ]
}

fail() {
    printf '%s\n' "$1"
    return 1
}

# has FILE TEXT: fails with what is in the file where it lacks the text.
has() {
    grep -qF -- "$2" "$1" || { cat "$1" && fail "It does not say: $2"; }
}

# README's programs, exactly as they stand.
check_readme() {
    new first Kv.EfCore.Sqlite Kv.Hosting < <(block csharp 1)
    # From the second start on it must tell the new total, and not what was there before.
    dotnet run | tee first.txt
    dotnet run | tee second.txt
    has first.txt 'ada: 1999 cents'
    has second.txt 'ada: 3998 cents'

    new second Kv.EfCore.PostgreSql < <(block csharp 2)
    has Program.cs 'Host=localhost;Database=app'
    sed -i "s/Host=localhost;Database=app/$postgres;Database=readme/" Program.cs
    dotnet run
    dotnet run
}

# The tour of docs/store.md.
check_tour() {
    new tour Kv.EfCore.PostgreSql < <(block csharp 1 docs/store.md)
    has Program.cs 'Host=localhost;Database=app'
    sed -i "s/Host=localhost;Database=app/$postgres;Database=tour/" Program.cs
    dotnet run
    dotnet run
}

# README's first program as one file, which begins with the lines that docs/store.md gives.
check_file() {
    enter file
    grep '^#:' "$root/docs/store.md" >app.cs
    block csharp 1 >>app.cs
    # What is built of a file lies here, and not with what the user's files were built to.
    mkdir -p data
    XDG_DATA_HOME=$PWD/data dotnet run app.cs | tee file.txt
    has file.txt 'ada: 1999 cents'
}

check_trimmed() {
    local settings=(--use-current-runtime --self-contained -p:PublishTrimmed=true)
    new trimmed Kv.EfCore.Sqlite Kv.Hosting <"$root/eng/programs/trimmed.cs"
    if ! dotnet restore --use-current-runtime -p:SelfContained=true -p:PublishTrimmed=true >restore.txt; then
        if grep -oE -m 1 'NU110[123]: .*Microsoft\.(NET\.ILLink\.Tasks|NETCore\.App\.Runtime)[^[]*' restore.txt; then return 77; fi
        cat restore.txt
        return 1
    fi
    # The trimmer warns of EF Core, which stays whole.
    dotnet publish --no-restore "${settings[@]}" -o published -v quiet -clp:ErrorsOnly
    [ ! -e published/Microsoft.VisualBasic.Core.dll ] || fail 'It was not trimmed.'
    timeout 120 published/trimmed | tee trimmed.txt
    has trimmed.txt 'migrated: True'
    has trimmed.txt 'got: User { Name = ada, Age = 36 }'
    has trimmed.txt 'handled: User { Name = grace, Age = 36 }'
    has trimmed.txt 'ticked'
}

# Refused whether or not the feeds have the compiler.
check_aot() {
    local code=0
    new aot Kv.EfCore.Sqlite <<<'Console.WriteLine(typeof(Kv.IKvStore));'
    dotnet restore --use-current-runtime -v quiet
    dotnet publish --no-restore -p:PublishAot=true >aot.txt || code=$?
    [ "$code" = 1 ] || fail "It ended with $code."
    has aot.txt 'error KV0001: EF Core, which EfKv runs on, does not support native AOT. Publish without PublishAot'
    has aot.txt 'set KvAllowPublishAot to true'
}

# Scripts that an application has for its own context go on as they are; the store's is there where it is named.
check_ef() {
    local version
    version=$(sed -n 's/.*"version": "\([0-9.]\{5,\}\)".*/\1/p' "$root/.config/dotnet-tools.json")
    new shop Kv.EfCore.Sqlite Kv.Hosting "Microsoft.EntityFrameworkCore.Design@$version" <"$root/eng/programs/own-context.cs"
    cp -r "$root/.config" .
    dotnet tool restore >/dev/null
    dotnet build -v quiet --nologo
    dotnet ef dbcontext list --no-build --prefix-output | tee contexts.txt
    [ "$(sed -n 's/^data: *//p' contexts.txt)" = ShopContext ] || fail 'It is to offer ShopContext and nothing else.'
    dotnet ef migrations add First --no-build
    ls Migrations/*_First.cs
    dotnet ef migrations list --no-build --context KvDbContext | tee store.txt
    has store.txt _Initial
}

"check_$4"
