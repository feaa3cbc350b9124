#!/bin/bash
# backends.sh [single|asymmetric] - the portable backend (libpcap in, libnet out) carries the same
# traffic as the default one. Offloads are off on all interfaces, as it needs them.
# Topology: that of single.sh and asymmetric.sh.
#
# proves: FC-2 FC-7 FC-9 HD-22
export LAB_BACKEND=pcap LAB_BIG=${LAB_BIG:-20} N_CONNECTS=${N_CONNECTS:-300}
cd "$(dirname "$0")" || exit 1
case ${1:-asymmetric} in
single) exec ./single.sh ;;
asymmetric) exec ./asymmetric.sh ;;
*) echo "usage: backends.sh [single|asymmetric]" >&2; exit 2 ;;
esac
