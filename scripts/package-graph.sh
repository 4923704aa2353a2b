#!/bin/sh
# Writes the dependency graph of some Debian packages and of all that they need, as examples/data/packages.txt has it.
#
#     scripts/package-graph.sh gnome kde-full texlive-full > examples/data/packages.txt
#
# Needs Debian or a system made from it, and apt's lists (`apt-get update`). Of alternatives the first counts; what only virtual packages
# provide is left out, as are recommendations.
set -eu
: "${1:?which packages to begin with, for example gnome}"
release=$(. /etc/os-release && echo "$PRETTY_NAME")

printf '# What %s need, and what that needs: the dependency graph of packages of %s.\n' "$*" "$release"
printf '# Made on %s from the lists of the distribution (amd64, main) by scripts/package-graph.sh.\n' "$(date -u +%F)"
printf '# One line for each package: its name, and the numbers of the packages that it depends on (Depends and Pre-Depends, of\n'
printf '# alternatives the first). The first line of them is number 0.\n'

apt-cache dumpavail | awk -v roots="$*" '
    /^Package: / { name = $2; known = (name in seen); seen[name] = 1 }
    /^(Depends|Pre-Depends): / && !known {
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
