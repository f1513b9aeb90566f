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
. eng/checks.sh
# Packages of an earlier run have the same version and other contents: the cache of this run is its own.
export NUGET_PACKAGES=$folder/cache
# Whatever this check started ends with it.
server=''
trap '[ -z "$server" ] || kill -KILL -- -$server 2>/dev/null || true' EXIT

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

# new NAME PACKAGE[@VERSION]...: a worker project with the input as its program, made with fewer restores than README's commands.
new() {
    local package references=''
    enter "$1"
    shift
    dotnet new worker --force --no-restore >/dev/null </dev/null
    for package in "$@"; do
        references+="<PackageReference Include=\"${package%@*}\" Version=\"$(sed -n 's/.*@//p' <<<"$package")\" />"
    done
    sed -i "s|</Project>|<ItemGroup>${references//Version=\"\"/Version=\"*-*\"}</ItemGroup></Project>|" ./*.csproj
    cat >Program.cs
    [ -s Program.cs ]
}

# readme NAME TEMPLATE: the project that README's commands make, of another template if README names it.
readme() {
    local commands
    enter "$1"
    commands=$(block sh 1)
    has <(printf '%s' "$commands") 'dotnet new worker'
    [ "$2" = worker ] || has "$root/README.md" "\`dotnet new $2\`"
    bash -euc "${commands/dotnet new worker/dotnet new $2}" >commands.txt 2>&1 </dev/null || { cat commands.txt && return 1; }
}

# at_server DATABASE: Program.cs asks this run's server, and not the one that the page names.
at_server() {
    has Program.cs 'Host=localhost;Database=app'
    sed -i "s/Host=localhost;Database=app/$postgres;Database=$1/" Program.cs
}

# README's first program, exactly as it stands.
check_worker() {
    readme worker worker
    block csharp 1 >Program.cs
    # From the second start on it must tell the new total, and not what was there before.
    dotnet run | tee first.txt
    dotnet run --no-build | tee second.txt
    has first.txt 'ada: 1999 cents'
    has second.txt 'ada: 3998 cents'
}

# The same in a project that names neither a host nor its usings.
check_console() {
    readme console console
    block csharp 1 >Program.cs
    dotnet run | tee console.txt
    has console.txt 'ada: 1999 cents'
}

# request ANSWER ARGUMENT...: asks the application until it answers so, for at most ten seconds.
request() {
    local wanted=$1 answer='' tries
    shift
    for tries in $(seq 50); do
        answer=$(curl -sS -m 10 -w ' %{http_code}' "$@" || true)
        [ "$answer" != "$wanted" ] || return 0
        sleep 0.2
    done
    fail "After $tries tries the answer is '$answer' and not '$wanted': $*"
}

# start FILE COMMAND...: starts an application as a group of processes, whose number is in server. The file gets what it says.
start() {
    set -m
    "${@:2}" >"$1" 2>&1 </dev/null &
    server=$!
    set +m
}

# serve COMMAND...: starts an application on a free port, and sets address.
serve() {
    start server.txt "$@" --urls http://127.0.0.1:0
    says server.txt 'Now listening on: '
    address=$(sed -n 's/.*Now listening on: //p' server.txt)
}

# says FILE TEXT: waits until the server has said it there.
says() {
    for _ in $(seq 600); do
        ! grep -qF -- "$2" "$1" || return 0
        kill -0 $server 2>/dev/null || break
        sleep 0.1
    done
    has "$1" "$2"
}

# end_server [FILE]: ends it as a host is ended, with all it started, and it must end well. The file has what it said.
end_server() {
    local code=0
    kill -TERM $server
    wait $server || code=$?
    server=''
    [ "$code" = 0 ] || { cat "${1:-server.txt}" && fail "It ended with $code."; }
}

# README's web application: an end point enqueues, the worker handles, the health check tells.
check_web() {
    local order='{"id":42,"customer":"ada","cents":1999}' sent
    readme web web
    dotnet remove package Kv.EfCore.Sqlite >/dev/null
    dotnet add package Kv.EfCore.PostgreSql --prerelease >/dev/null
    block csharp 2 >Program.cs
    at_server web
    serve dotnet run
    sent=$(curl -sS -m 30 -o answer.txt -w '%{http_code}' --json "$order" "$address/orders")
    [ "$sent" = 202 ] || { cat answer.txt server.txt && fail "The order was answered with $sent."; }
    request ' 409' --json "$order" "$address/orders"
    request '1999 200' "$address/totals/ada"
    request ' 404' "$address/totals/bob"
    request 'Healthy 200' "$address/health"
    end_server
}

# The tour of docs/store.md.
check_tour() {
    new tour Kv.EfCore.PostgreSql < <(block csharp 1 docs/store.md)
    at_server tour
    dotnet run
    dotnet run --no-build
}

# README's first program as one file, which begins with the lines that README gives.
check_file() {
    enter file
    block text 1 >app.cs
    has app.cs '#:package Kv.EfCore.Sqlite'
    has "$root/README.md" '`dotnet run app.cs`'
    block csharp 1 >>app.cs
    # What is built of a file lies here, and not with what the user's files were built to.
    mkdir -p data
    XDG_DATA_HOME=$PWD/data dotnet run app.cs | tee file.txt
    has file.txt 'ada: 1999 cents'
}

# README's commands for templates, and the other template with what README says of it.
check_templates() {
    local commands run order='{"id":42,"customer":"ada","total":19.99}'
    enter templates
    commands=$(block sh 2)
    run=$(tail -n 1 <<<"$commands")
    has <(printf '%s' "$commands") 'dotnet new efkv-web --output shop'
    has <(printf '%s' "$commands") 'or efkv-worker; --provider postgres, --otel'
    [ "$run" = 'dotnet run --project shop' ] || fail "README ends with: $run"
    # The templates of this machine stay as they are.
    commands=$(sed -n '/^dotnet new /s|\( *#.*\)\{0,1\}$| --debug:custom-hive "$HIVE"|p' <<<"$commands")
    commands+=$'\ndotnet new efkv-worker --output night-shift --provider postgres --otel --debug:custom-hive "$HIVE"'
    HIVE=$PWD/hive bash -euc "$commands" </dev/null

    serve $run
    request ' 202' --json "$order" "$address/orders"
    request '{"id":42,"customer":"ada","total":19.99,"confirmed":true} 200' "$address/orders/42"
    request 'Healthy 200' "$address/health"
    end_server
    ls shop/shop.db

    sed -i "s/Host=localhost;Database=night-shift/$postgres;Database=night-shift/" night-shift/appsettings.json
    has night-shift/appsettings.json "$postgres"
    start worker.txt dotnet run --project night-shift
    says worker.txt 'Reports so far: 1'
    says worker.txt 'Health: Healthy'
    end_server worker.txt
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
