# What the checks of packages have in common; sourced.

fail() {
    printf '%s\n' "$1"
    return 1
}

# has FILE TEXT: fails where the file lacks the text.
has() {
    grep -qF -- "$2" "$1" || { cat "$1" && fail "It does not say: $2"; }
}
