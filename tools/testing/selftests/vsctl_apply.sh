#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# apply: whole or not at all, and a dry run that tells the truth. Printed rules read back.
# limit: 240
. "${0%/*}/lib.sh"

rules() { vsctl rule ls | sed 1d | awk '{ $1 = $2 = ""; print substr($0, 3) }'; }
names() { vsctl ls | sed 1d | awk '{ print $2 }' | sort | tr '\n' ' '; }

cat >/tmp/one.toml <<'TOML'
rules = [
    "accept task=pg => task=conn",
    'exec path="/opt/my shop/*" uid=1001 => task=web',
    "packet lport=5432 peer=10.1.0.0/16 => conn=web",
]

[services.web]                  # stands before its parent
parent = "shop"
cpu_cap = "12.5%"

[services.shop]
cpu_weight = 300
tasks_max = 500
tasks_errno = "ENOMEM"

[services.pg]
priority = -3
TOML

before=$(vsctl status)
check "a dry run" vsctl apply /tmp/one.toml --dry-run
is "a dry run changes nothing" "$(vsctl status)" "$before"
is "a dry run tells the changes" "$(vsctl apply /tmp/one.toml --dry-run | head -2)" \
	"+ service shop: parent root, cpu_weight 300, tasks_max 500, tasks_errno ENOMEM
+ service web: parent shop, cpu_cap 12.5%"
check "apply" vsctl apply /tmp/one.toml
is "the services are there" "$(names)" "pg root shop web "
is "rules read back as they were written" "$(rules)" "accept task=pg => task=conn
exec path=\"/opt/my shop/*\" uid=1001 => task=web
packet lport=5432 peer=10.1.0.0/16 => conn=web"
is "nothing is left to change" "$(vsctl apply /tmp/one.toml --dry-run)" "no difference"
check "the tree is as it was asked for" grep -q 'web ([0-9]*) cpu_cap=12.5%$' <(vsctl tree shop)

number=$(vsctl rule ls | awk '/my shop/ { print $1 }')
text=$(rules | grep 'my shop')
check "a rule is deleted" vsctl rule del "$number"
check "its text adds it again" vsctl rule add "$text"
is "the same, but younger" "$(rules | tail -1)" "$text"
is "apply would put it back" "$(vsctl apply /tmp/one.toml --dry-run)" \
	"~ rules: another order of age"

# the kernel refuses this file, for 17 levels, and the refusal has a place in it
for n in {1..17}; do
	printf '[services.d%d]\n' "$n"
	((n == 1)) || printf 'parent = "d%d"\n' $((n - 1))
done >/tmp/deep.toml
state="$(vsctl ls; rules)"
refuse 1 "a configuration the kernel refuses" vsctl apply /tmp/deep.toml
check "a refusal names its place" grep -q '^vsctl: /tmp/deep.toml:32:11: ' \
	<(vsctl apply /tmp/deep.toml 2>&1)
is "a refused configuration changes nothing" "$(vsctl ls; rules)" "$state"
refuse 1 "a dry run is refused, too" vsctl apply /tmp/deep.toml --dry-run

printf '[services.pg]\n' >/tmp/two.toml
check "another configuration" vsctl apply /tmp/two.toml
is "services that it does not name stay" "$(names)" "pg root shop web "
is "its rules are all there is" "$(rules)" ""
check "services that it does not name are pruned" vsctl apply /tmp/two.toml --prune
is "children before parents" "$(names)" "pg root "
check "standard input" vsctl apply - --prune </dev/null
is "all is gone" "$(names)" "root "

check "gates, for a task in a service" vsctl up --no-sched --gates fork
check "a service" vsctl create held
sleep 1000 &
check "a task in the service" vsctl place $! held
# shellcheck disable=SC2016 # the message has the name in backquotes
is "one with a task is not pruned, and named" "$(vsctl apply - --prune </dev/null 2>&1 | head -1)" \
	'vsctl: apply: destroy `held`, which the file does not name: it has tasks (EBUSY)'
kill $!
wait $! 2>/dev/null
finish
