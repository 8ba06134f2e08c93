#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# Every kind of failure has its exit code, its place and its remedy.
# module: no
# limit: 300
. "${0%/*}/lib.sh"

# says NAME WORDS COMMAND...: the command fails, and its output contains the words.
says() {
	local name=$1 words=$2 output
	shift 2
	output=$("$@" 2>&1 >/dev/null)
	[[ $output == *"$words"* ]] && ok "$name" && return
	note "'$output' does not say '$words'"
	not_ok "$name"
}

refuse 3 "no module" vsctl ls
says "the remedy is named" "insmod vs.ko" vsctl ls
check "status works without it" vsctl status
check "down works without it" vsctl down
check "help works without it" vsctl --help
check "fields works without it" vsctl fields

insmod "$VS_MODULE" || bail "the module does not load"
refuse 2 "no such command" vsctl frobnicate
refuse 2 "no such option" vsctl ls --frobnicate
refuse 2 "no such gate" vsctl up --gates fork,knife
refuse 2 "a bad name" vsctl create A
refuse 2 "a reserved name" vsctl create conn
refuse 2 "a bad value" vsctl create a --cap 0.5%
refuse 2 "no such service" vsctl show nobody
refuse 2 "no process" vsctl place x root

check "a service" vsctl create shop
refuse 1 "a service of the same name" vsctl create shop
says "the cause is named" "a service of this name exists (EEXIST)" vsctl create shop
says "a name with one letter off" "did you mean \`shop\`?" vsctl show shpo
refuse 1 "a shared attribute cannot be set" vsctl set shop cpu_weight=5
says "the remedy is named" "vsctl detach" vsctl set shop cpu_weight=5
refuse 2 "an error number that programs do not know" vsctl detach shop tasks_errno=134
refuse 1 "a refused attribute is still shared" vsctl set shop tasks_errno=EAGAIN
refuse 1 "an id that is none" vsctl create one --id 65535
refuse 2 "an id that stands for something else" vsctl create one --id 4294967295
refuse 2 "an heir that is the service itself" vsctl destroy shop --move-to shop
refuse 2 "a list of rules of no gate" vsctl rule ls knife
says "the present gates are named" "there are fork, exec" vsctl rule ls knife
refuse 2 "a call of any service" vsctl rule test 'accept task=*'
refuse 1 "nobody is process 0" vsctl place 0 root
refuse 2 "no terminal" vsctl top
says "another command is named" "vsctl stat --watch" vsctl top
refuse 1 "root cannot go" vsctl destroy root
refuse 1 "a circle" vsctl mv shop shop
refuse 1 "no such rule" vsctl rule del 4711
check "a rule" vsctl rule add 'accept task=shop => task=conn'
refuse 1 "rules hold a service" vsctl destroy shop
says "the number of rules is named" "(1 rules)" vsctl destroy shop

refuse 2 "a rule with a mistake" vsctl rule add 'acept task=shop => task=conn'
says "the mistake is marked" "rule:1:1: there is no gate \`acept\`" vsctl rule add \
	'acept task=shop => task=conn'
refuse 2 "a rule the shell has cut" vsctl rule add accept task=shop = task=conn
says "a rule without quotes" "quote the rule" vsctl rule add accept task=shop =
refuse 2 "no such file" vsctl apply /nowhere.toml
printf '[services.a]\n\n  cpu_wieght = 3\n' >/tmp/c.toml
refuse 2 "a configuration with a mistake" vsctl apply /tmp/c.toml
says "file, line, column are named" "/tmp/c.toml:3:3: there is no key \`cpu_wieght\`" vsctl apply \
	/tmp/c.toml
says "the key that was meant is named" "did you mean \`cpu_weight\`?" vsctl apply /tmp/c.toml

refuse 3 "placing without gates" vsctl place $$ shop
refuse 3 "exec without gates" vsctl exec shop -- true
refuse 3 "ps without gates" vsctl ps
refuse 4 "no right" setpriv --reuid 65534 --regid 65534 --clear-groups "$(command -v vsctl)" ls

check "up" vsctl up --no-sched
refuse 127 "exec of nothing" vsctl exec shop -- /no/such/command
touch /tmp/plain
refuse 126 "exec of no program" vsctl exec shop -- /tmp/plain
refuse 7 "exec gives the command's own status" vsctl exec shop -- sh -c 'exit 7'
true &
gone=$!
wait $gone
refuse 1 "a process that has ended" vsctl place $gone shop
check "down" vsctl down
finish
