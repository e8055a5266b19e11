# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Make what a virtual machine of the qemu of Debian 13 needs, or skip the test.  Source this
# file before ns.sh, since packages come from the network; vm.sh and root.sh again after it.

. "$(dirname "${BASH_SOURCE[0]}")/vm.sh"
. "$(dirname "${BASH_SOURCE[0]}")/root.sh"
vm_image
root_image
