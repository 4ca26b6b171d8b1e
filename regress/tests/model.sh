#!/bin/bash
# SPDX-License-Identifier: ISC
#
# Test the Darwin model: each test of regress/darwin-model/test/model-test.c is
# run under the model in a network and a process namespace of its own, which
# end with it, whatever it has left behind.

set -u

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
MODEL_SOURCE=$TOP/regress/darwin-model
OUT=$TOP/target/regress/model
# A test that has not ended after so many seconds hangs.
LIMIT=120

mkdir -p "$OUT"

build() {
	local warn=(-std=c11 -D_GNU_SOURCE -O2 -g -Wall -Wextra -Werror)
	cc -shared -fPIC "${warn[@]}" -fvisibility=hidden \
		-o "$OUT/libdarwin-model.so" "$MODEL_SOURCE"/*.c -ldl -lpthread &&
		cc "${warn[@]}" -o "$OUT/model-test" \
			"$MODEL_SOURCE/test/model-test.c" -lpthread
}

if ! build >"$OUT/build.log" 2>&1; then
	tail -n 20 "$OUT/build.log"
	echo "FAIL the model builds: see $OUT/build.log"
	exit 1
fi
echo "PASS the model builds"

# Nothing but what stands for libc's may be seen from outside.
exported=$(nm -D --defined-only "$OUT/libdarwin-model.so" | awk '{print $3}' |
	sort | tr '\n' ' ')
want="__open64_2 __open_2 __read_chk _exit bind close connect getsockopt "
want+="ioctl open open64 read setsockopt socket write "
status=0
if [ "$exported" = "$want" ]; then
	echo "PASS only interposed functions are exported"
else
	echo "FAIL only interposed functions are exported: $exported"
	status=1
fi

# A quiet pair: no address of its own, so nothing is sent but by the tests.
# shellcheck disable=SC2016 # expanded by the inner shell
IN_NAMESPACE='
	for f in /proc/sys/net/ipv6/conf/all/disable_ipv6 \
		/proc/sys/net/ipv6/conf/default/disable_ipv6; do
		[ ! -w "$f" ] || echo 1 >"$f"
	done
	ip link add feth0 type veth peer name feth5000 &&
	for i in feth0 feth5000; do
		ip link set "$i" addrgenmode none || : # no IPv6, then
	done &&
	ip link set feth0 up && ip link set feth5000 up &&
	exec "$@"'

in_namespace() {
	unshare --net --pid --fork --kill-child -- \
		sh -c "$IN_NAMESPACE" sh "$@"
}

why_not_here() {
	if [ "$(id -u)" -ne 0 ]; then
		echo "needs root, for network namespaces"
	elif ! in_namespace true >"$OUT/namespace.log" 2>&1; then
		echo "no veth pair in a network namespace: $(tail -n 1 "$OUT/namespace.log")"
	fi
}

skip=$(why_not_here)
while IFS= read -r line; do
	function=${line%%$'\t'*} rest=${line#*$'\t'}
	faults=${rest%%$'\t'*} name=${rest#*$'\t'}
	if [ -n "$skip" ]; then
		echo "SKIP $name: $skip"
		continue
	fi
	log=$OUT/$function.log
	rm -f "$log" "$log.model"
	if in_namespace timeout --foreground -k 5 "$LIMIT" env \
		LD_PRELOAD="$OUT/libdarwin-model.so" \
		DARWIN_MODEL_LOG="$log.model" DARWIN_MODEL_FAULT="$faults" \
		"$OUT/model-test" "$function" </dev/null >"$log" 2>&1; then
		echo "PASS $name"
	else
		[ -s "$log" ] || echo "no reason given; ended or hung" >"$log"
		echo "FAIL $name: $(tail -n 1 "$log")"
		status=1
	fi
done < <("$OUT/model-test" list)
exit "$status"
