set -eu
. "$1/ask.sh"
. "$1/greet.o"
[ "$(greet world)" = "hello, world" ]
[ "$(GREETING=ahoy greet world)" = "ahoy, world" ]
