#!/bin/sh
# Writes the dependency graph of some Debian packages and of all that they need, as examples/data/packages.txt has it.
#
#     scripts/package-graph.sh gnome kde-full texlive-full > examples/data/packages.txt
#
# Needs Debian with apt's lists (`apt-get update`). It reads one of these: the section "main" of the release itself, without updates.
set -eu
: "${1:?which packages to begin with, for example gnome}"
. /etc/os-release
list=$(apt-get indextargets --format '$(CODENAME) $(COMPONENT) $(FILENAME)' 'Created-By: Packages' |
    awk -v release="$VERSION_CODENAME" '$1 == release && $2 == "main" && !found++ { print $3 }')
[ -n "$list" ] || { echo "apt has no list of $VERSION_CODENAME main: run apt-get update" >&2; exit 1; }
told=$(sed -n 's/^\(Version\|Date\): //p' "${list%%_main_binary-*}_InRelease" | head -n 2 | paste -sd ' ')

printf '# What %s need, and what that needs: the dependency graph of packages of %s.\n' "$*" "$PRETTY_NAME"
printf '# Made by scripts/package-graph.sh from the list "main" of release %s.\n' "$told"
printf '# One line for each package: its name, and the numbers of the packages that it depends on; the first line of them is number 0.\n'
printf '# These are Depends and Pre-Depends; of alternatives the first counts. Left out: recommendations and suggestions, versions, and\n'
printf '# what only virtual packages provide.\n'

/usr/lib/apt/apt-helper cat-file "$list" | awk -v roots="$*" '
    /^Package: / { name = $2; seen[name] = 1 }
    /^(Depends|Pre-Depends): / {
        sub(/^[^:]*: /, "")
        wanted = split($0, clauses, /, */)
        for (i = 1; i <= wanted; i++) {
            split(clauses[i], alternatives, / *\| */)
            split(alternatives[1], words, /[ (:]/)
            needs[name] = needs[name] " " words[1]
        }
    }
    END {
        count = split(roots, names, " ")
        for (i = 1; i <= count; i++) { order[i - 1] = names[i]; number[names[i]] = i - 1 }
        for (at = 0; at < count; at++) {
            n = split(needs[order[at]], names, " ")
            for (i = 1; i <= n; i++)
                if ((names[i] in seen) && !(names[i] in number)) { number[names[i]] = count; order[count++] = names[i] }
        }
        for (at = 0; at < count; at++) {
            line = order[at]
            n = split(needs[order[at]], names, " ")
            split("", written)
            for (i = 1; i <= n; i++)
                if ((names[i] in number) && !(names[i] in written)) { line = line " " number[names[i]]; written[names[i]] = 1 }
            print line
        }
    }'
