#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The table of options, the help, the manual and the completions agree: each option is in
# all of them, with the same letter, value and default, and for the same programs.

. "$(dirname "$0")/../lib/tap.sh"
no_stage
command -v python3 >/dev/null || skip_all "no python3"
cd "$work" || exit 1

"$top/scripts/completion" --list >table
"$top/passt" --help >help
cp "$top/passt.1" manual
cp "$top/contrib/completion/_passt" zsh
cp "$top/contrib/completion/passt.fish" fish

# bash_list: print what the completion of bash knows of each option
bash_list() {
	local mode options letters kind word letter name
	# shellcheck source=/dev/null
	. "$top/contrib/completion/passt.bash"
	for mode in passt pasta; do
		_passt_options $mode
		for word in $options; do
			name=${word#--} letter=-
			# A letter belongs to the options with its line in the table
			letter=$(awk -F'\t' -v n="$name" '$3 == n { print $2 }' table)
			[[ -z $letter || " ${letters//[[:space:]]/ } " == *" -$letter "* ]] ||
				letter=
			_passt_kind "$word"
			echo "$mode $name ${letter:--} ${kind:--}"
		done
	done
}
bash_list >bash

compare() { python3 "$top/test/tools/options.py" table help manual bash zsh fish; }

compare >log
is "$(grep -v 'options$' log)" "" "help, manual and completions have the options of the table"
[ "$(sed -n 's/ options$//p' log)" -gt 60 ]
ok $? "they are $(tail -1 log)"
is "$("$top/pasta" --help)" "$("$top/passt" --help)" "both programs print the same help"

# --- the comparison itself ----------------------------------------------------------

# notices FILE SED-SCRIPT COMPLAINT: a change to one place is found
notices() {
	cp "$1" kept
	sed -i "$2" "$1"
	cmp -s kept "$1" && diag "nothing changed: $2"
	like "$(compare 2>&1)" "$3" "a difference is found: $3"
	mv kept "$1"
}
notices table '/\tmtu\t/d' "--mtu is in help, but not in the table"
notices table 's/^passt,pasta\t\tno-tcp/pasta\t\tno-tcp/' "--no-tcp is for passt and pasta in help"
notices help '/--mtu/d' "--mtu is missing in help"
notices help 's/-m, --mtu N/-M, --mtu N/' "--mtu has letter 'M' in help"
notices help 's/--mtu N/--mtu X/' "--mtu has value 'X' in help"
notices help 's/(default: 65520)/(default: 1500)/' "--mtu: default '1500' in help"
notices manual '/^.It Fl m , -mtu/d' "--mtu is missing in manual"
notices manual 's/^.It Fl m , -mtu Ar n/.It Fl m , -mtu Ar bytes/' \
	"--mtu has value 'BYTES' in manual"
notices manual 's/by default 65520/by default 1500/' \
	'--mtu: the manual says nothing of default "65520"'
notices manual 's/^.It Fl m , -mtu/.It Fl x , -mtu/' "--mtu has letter 'x' in manual"
notices manual 's/^.Ss Only for passt/.Ss Other/' "--one-off is for passt and pasta in manual"
notices bash '/ mtu /d' "--mtu is missing in bash"
notices bash 's/^pasta mtu m any/pasta mtu m -/' "--mtu has value 'in one program' in bash"
notices zsh '/--mtu/d' "--mtu is missing in zsh"
notices zsh "s/'\*--mtu=/'*--mtx=/" "--mtx is in zsh, but not in the table"
notices fish '/-l mtu/d' "--mtu is missing in fish"
notices fish '/^complete -c pasta/s/-l mtu -x/-l mtu/' "--mtu has value 'in one program' in fish"
notices fish '/^complete -c passt.*-l mtu/d' "--mtu is for pasta in fish"
done_testing
