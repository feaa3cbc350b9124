#!/bin/sh
# clock.sh - only what is meant for people may know the time of day: it may be set, and step. All
# that waits, ages or expires goes by the monotonic clock (THREATS, clock steps).
top=${srcdir:-$(dirname "$0")/../..}
status=0
# stamps of log lines, of the access log and Date headers, and of capture files
allowed='src/base/log.c src/daemon/notes.c src/daemon/l7_world.c src/io/port_file.c'
for file in $(cd "$top" && grep -lE 'CLOCK_REALTIME|CLOCK_TAI|[^_a-z]time\((NULL|&)|gettimeofday\(|timespec_get\(' \
	-r src --include='*.c' --include='*.h'); do
	case " $allowed " in
	*" $file "*) ;;
	*)
		echo "clock.sh: $file asks for the time of day"
		status=1
		;;
	esac
done
for file in $allowed; do
	[ -e "$top/$file" ] || { echo "clock.sh: no $file"; status=1; }
done
exit $status
