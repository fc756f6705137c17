set -eu
. "$1/count.o"
[ "$(count)" = "nobody" ]
[ "$(count one)" = "one name" ]
[ "$(count one two three)" = "3 names" ]
