# SPDX-License-Identifier: GPL-2.0-or-later
#
# Targets: all static; check test-unit lint layers fuzz hostile bench bench-vhost
# bench-stream bench-micro bench-plot soak;
# install uninstall dist deb rpm; compile_commands.json hooks clean
#
# CROSS=NAME builds for another architecture, with Debian's compiler for it, below
# build/NAME: make CROSS=s390x, or without any library, make static CROSS=s390x
#
# V=1 prints each command instead of one short line a file.

ifndef VERSION
VERSION := $(shell sh scripts/version)
endif
INSTALL ?= install
prefix ?= /usr/local
bindir ?= $(prefix)/bin
datadir ?= $(prefix)/share
mandir ?= $(datadir)/man
docdir ?= $(datadir)/doc/passt
bashdir ?= $(datadir)/bash-completion/completions
zshdir ?= $(datadir)/zsh/site-functions
fishdir ?= $(datadir)/fish/vendor_completions.d

# $(call say,CC,FILE) announces a command; nothing is printed with make -s
ifeq ($(V),1)
say =
else
Q := @
ifeq ($(findstring s,$(firstword -$(MAKEFLAGS))),)
say = @printf '  %-7s %s\n' '$(1)' '$(patsubst build/%,%,$(2))'
endif
endif

# Debian's names of its architectures, or the first words of their compilers
TRIPLET_amd64 := x86_64-linux-gnu
TRIPLET_arm64 := aarch64-linux-gnu
TRIPLET_armhf := arm-linux-gnueabihf
TRIPLET_i386 := i686-linux-gnu
TRIPLET_ppc64el := powerpc64le-linux-gnu
ifdef CROSS
CC := $(or $(TRIPLET_$(CROSS)),$(CROSS)-linux-gnu)-gcc
endif

# Objects are made in B. Programs are made beside them, those of "make all" at the top
B ?= $(if $(CROSS),build/$(CROSS),build)
D := $(if $(filter build,$(B)),,$(B)/)
# The architecture of the seccomp tables, and the kernel headers for musl
TARGET := $(shell $(CC) -dumpmachine)
ARCH := $(firstword $(subst -, ,$(TARGET)))
ifneq ($(findstring musl,$(CC)),)
MUSL_INC := -idirafter /usr/include -idirafter /usr/include/$(shell gcc -dumpmachine)
endif

WARN := -Wall -Wextra -Wpedantic -Wshadow -Wmissing-prototypes \
	-Wstrict-prototypes -Wvla -Wformat=2 -Wundef -Wwrite-strings \
	-Wpointer-arith
HARDEN := -fPIE -fstack-protector-strong -fno-strict-aliasing
ifeq ($(findstring -O0,$(CFLAGS)),)
FORTIFY := -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
endif
CFLAGS ?= -O2 -g
# On 32-bit machines, glibc has times and file sizes of 32 bits as well
WIDE := -D_FILE_OFFSET_BITS=64 -D_TIME_BITS=64
override CPPFLAGS += -D_GNU_SOURCE $(WIDE) -DVERSION=\"$(VERSION)\" -I$(B) $(FORTIFY) $(MUSL_INC)
ALL_CFLAGS = -std=gnu11 $(WARN) $(HARDEN) $(CFLAGS)
ALL_LDFLAGS = -pie -Wl,-z,relro,-z,now $(LDFLAGS)

# Programs of their own are not part of passt
ALONE := qrap passt-repair
# pesto shares some modules with it
PESTO := pesto.c pesto_words.c json.c
PESTO_OBJS := $(PESTO:%.c=$(B)/%.o) \
	$(patsubst %,$(B)/%.o,pesto_wire ports rules inany log util)
SRCS := $(filter-out $(ALONE:=.c) $(PESTO),$(wildcard *.c))
OBJS := $(SRCS:%.c=$(B)/%.o)

PROG := $(D)passt
all: $(PROG) $(D)pasta $(ALONE:%=$(D)%) $(D)pesto

# B selects another build beside this one, for instance
# make B=build/small CPPFLAGS=-DFLOW_BITS=4 build/small/passt
$(PROG): $(OBJS) $(EXTRA)
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $(OBJS) $(EXTRA)

$(D)pasta: $(PROG)
	$(call say,LINK,$@)
	$(Q)ln -sf passt $@

$(ALONE:%=$(D)%): $(D)%: %.c $(B)/seccomp.h | $(B)
	$(call say,CC,$@)
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $<

$(D)pesto: $(PESTO_OBJS)
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $(PESTO_OBJS)

# Two programs for the frame tests: one with a flow table that is soon full, and one
# whose frames are cut into pieces (test/frame/scatter.c)
SCATTER := tap_stream_init tap_tun_init tap_rx_frame
frames:
	$(Q)$(MAKE) --no-print-directory B=build/small \
		build/small/passt CPPFLAGS=-DFLOW_BITS=4
	$(Q)$(MAKE) --no-print-directory B=build/scatter \
		build/scatter/passt EXTRA=build/scatter/scatter.o \
		LDFLAGS="$(LDFLAGS) $(SCATTER:%=-Wl,--wrap=%)"

# The hostile guest
hostile-guest: $(B)/hostile/hostile
$(B)/hostile/hostile: $(wildcard test/hostile/*.c) test/hostile/hostile.h wire.h
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) -std=gnu11 -D_GNU_SOURCE -I. $(WARN) -O2 -g -o $@ $(filter %.c,$^)

# Programs that need no library, in build/static or build/static-NAME. Their address
# is random only where the C library can do that: not on every machine, and for
# i386 Debian's fails as soon as memset() is checked
S := build/static$(CROSS:%=-%)
STATIC = $(shell echo 'int __memset_chk(); int main(void) { return __memset_chk(); }' | \
	$(CC) -fPIE -static-pie -x c - -o /dev/null 2>/dev/null && \
	echo -static-pie || echo -static -no-pie)
static:
	$(Q)$(MAKE) --no-print-directory B=$(S) LDFLAGS="$(LDFLAGS) $(STATIC)" all

# The same programs, and all unit tests and fuzz replays from their very objects.
# Emulators of other machines run these: sanitizers don't work there
static-tests:
	$(Q)$(MAKE) --no-print-directory B=$(S) SAN= LDFLAGS="$(LDFLAGS) $(STATIC)" \
		all units replays

$(B)/%.o: %.c $(B)/seccomp.h | $(B)
	$(call say,CC,$@)
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(B)/scatter.o: test/frame/scatter.c | $(B)
	$(call say,CC,$@)
	$(Q)$(CC) $(CPPFLAGS) -I. $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(B)/seccomp.h: seccomp.sh $(SRCS) passt-repair.c | $(B)
	$(call say,GEN,$@)
	$(Q)sh seccomp.sh "$(CC)" $(SRCS) passt-repair.c > $@.tmp
	$(Q)mv $@.tmp $@

$(B):
	$(Q)mkdir -p $@

# Unit tests link every module but main(), built with sanitizers. With SAN= they link the
# objects of the program instead
T := $(B)/unit
SAN := -fsanitize=address,undefined -fno-sanitize-recover=undefined \
	-fno-omit-frame-pointer
TCFLAGS = -D_GNU_SOURCE $(WIDE) -DVERSION=\"test\" -I. -I$(B) -std=gnu11 $(WARN) \
	-fno-strict-aliasing -O1 -g $(SAN)
TOBJS := $(patsubst %.c,$(if $(SAN),$(T)/obj,$(B))/%.o,$(filter-out passt.c,$(SRCS)) json.c)
UNITS := $(patsubst test/unit/%.c,$(T)/%,$(wildcard test/unit/*.c))
units: $(UNITS)
$(T)/obj/%.o: %.c $(B)/seccomp.h
	@mkdir -p $(T)/obj
	$(call say,CC,$@)
	$(Q)$(CC) $(TCFLAGS) -MMD -MP -c -o $@ $<
HEADERS := $(wildcard test/unit/*.h)
$(T)/%: test/unit/%.c $(HEADERS) $(TOBJS)
	@mkdir -p $(T)
	$(call say,LINK,$@)
	$(Q)$(CC) $(TCFLAGS) $(LDFLAGS) $(TWRAP) -o $@ $< $(TOBJS)

# The program with sanitizers, for test/hostile. Its reports need calls that the filter
# refuses, and have addresses that addr2line knows
Z := $(B)/sanitized
sanitized: $(Z)/passt
$(Z)/%.o: %.c $(B)/seccomp.h
	@mkdir -p $(Z)
	$(call say,CC,$@)
	$(Q)$(CC) $(TCFLAGS) -DSECCOMP_LOG -MMD -MP -c -o $@ $<
$(Z)/passt: $(Z)/passt.o $(Z)/isolation.o $(filter-out %/isolation.o,$(TOBJS))
	$(call say,LINK,$@)
	$(Q)$(CC) $(TCFLAGS) $(LDFLAGS) -no-pie -o $@ $^

# This one takes the place of the modules that connections are handed to
$(T)/inbound: TWRAP := $(foreach f,input_solicit_guest tcp_accepted \
	tcp_splice_accepted udp_listen_event,-Wl,--wrap=$(f))

# In this one the helper closes its copies of sockets late
$(T)/nshelper: TWRAP := -Wl,--wrap=fdpass_close

# Each test run replays the fuzz targets over known inputs. clang's libFuzzer runs
# them on new ones: make fuzz
FUZZERS := $(patsubst test/fuzz/%.c,%,$(filter-out test/fuzz/replay.c,$(wildcard test/fuzz/*.c)))
replays: $(FUZZERS:%=$(B)/fuzz/%-replay)
$(B)/fuzz/%-replay: test/fuzz/%.c test/fuzz/replay.c $(HEADERS) $(TOBJS)
	@mkdir -p $(B)/fuzz
	$(call say,LINK,$@)
	$(Q)$(CC) $(TCFLAGS) $(LDFLAGS) -o $@ $< test/fuzz/replay.c $(TOBJS)

fuzzers: $(FUZZERS:%=$(B)/fuzz/%)
FCFLAGS = -D_GNU_SOURCE $(WIDE) -DVERSION=\"fuzz\" -I. -I$(B) -std=gnu11 -O1 -g \
	-fno-strict-aliasing -fsanitize=fuzzer-no-link,address,undefined
FOBJS := $(patsubst %.c,$(B)/fuzz/obj/%.o,$(filter-out passt.c,$(SRCS)) json.c)
$(B)/fuzz/obj/%.o: %.c $(B)/seccomp.h
	@mkdir -p $(B)/fuzz/obj
	$(call say,CC,$@)
	$(Q)clang $(FCFLAGS) -MMD -MP -c -o $@ $<
$(B)/fuzz/%: test/fuzz/%.c $(HEADERS) $(FOBJS)
	$(call say,LINK,$@)
	$(Q)clang $(FCFLAGS) -fsanitize=fuzzer -o $@ $< $(FOBJS)

# Find new inputs of all targets, or of those in TARGETS, on all processors. See the head
# of the script for what becomes of these
MINUTES ?= 10
fuzz: $(if $(TARGETS),$(TARGETS:%=$(B)/fuzz/%),fuzzers)
	test/fuzz/run $(MINUTES) $(TARGETS)

# What guests and front-ends must not do, in any number: rings and messages that are
# mutated, memory that changes while it is used, and frames against the whole program.
# Twenty minutes on two cores; an input that fails is left in build/fuzz, frames in
# build/hostile
hostile: $(B)/fuzz/virtqueue $(B)/fuzz/vhost $(T)/vhost_race
	$(T)/vhost_race 60
	$(foreach f,virtqueue:10000000 vhost:1000000,$(newline)\
		mkdir -p $(B)/fuzz/new-$(call part,1,$f) && \
		$(B)/fuzz/$(call part,1,$f) -runs=$(call part,2,$f) -verbosity=0 \
			-print_final_stats=1 -artifact_prefix=$(B)/fuzz/ \
			$(B)/fuzz/new-$(call part,1,$f) test/fuzz/corpus/$(call part,1,$f))
	FRAMES=10000000 LIMIT=7200 test/run hostile

check: all
	test/run

# Needs a compiler alone, and no privilege
test-unit:
	$(Q)test/run unit fuzz

bench: all
	test/bench/run
bench-vhost: all
	test/bench/run 3 vhost
bench-stream: all
	test/bench/run 3 stream

# Inner functions, in nanoseconds
bench-micro: $(B)/micro
	$(B)/micro
$(B)/micro: test/bench/micro.c $(OBJS)
	$(call say,LINK,$@)
	$(Q)$(CC) $(CPPFLAGS) -I. $(ALL_CFLAGS) -o $@ $< $(filter-out $(B)/passt.o,$(OBJS))

# Draw the results of a run, make bench-plot RESULTS=FILE those of another
RESULTS ?= $(B)/bench.results
bench-plot:
	@[ -e $(RESULTS) ] || { echo "no $(RESULTS): run make bench first"; exit 1; }
	$(call say,PLOT,doc/bench.svg)
	$(Q)[ $(RESULTS) -ef doc/bench.results ] || cp $(RESULTS) doc/bench.results
	$(Q)test/bench/plot doc/bench.results doc/bench.svg \
		$(wildcard README.md doc/*.md)

# All kinds of traffic for 20 minutes. Then make connections for five minutes in each of
# twelve ways, until source ports are used again, and look for one that stalls
soak: all
	SECS=1200 LIMIT=1500 test/run e2e/soak
	bash test/bench/ports 300

layers: all
	scripts/layers

lint:
	scripts/lint

# Lint before each push; see scripts/hooks
hooks:
	git config core.hooksPath scripts/hooks

# For editors and language servers: how each C file is compiled.
# $(call item,FILE,OUTPUT,COMMAND) is one of them, $(call more,...) one after a comma
define newline


endef
quoted = "$(subst ",\",$(subst \,\\,$(1)))"
item = {"directory": $(call quoted,$(CURDIR)), "file": "$(1)",$\
	"output": "$(2)", "command": $(call quoted,$(strip $(3) -c -o $(2) $(1)))}
more = ,$(newline)$(item)
compile_commands.json: $(B)/seccomp.h
	$(call say,GEN,$@)
	$(file >$@,[$(call item,qrap.c,qrap,$(CC) $(CPPFLAGS) $(ALL_CFLAGS))$\
	$(foreach f,passt-repair.c $(SRCS) $(PESTO),$(call $\
		more,$f,$(B)/$(f:.c=.o),$(CC) $(CPPFLAGS) $(ALL_CFLAGS)))$\
	$(foreach f,$(wildcard test/frame/*.c),$(call $\
		more,$f,$(f:test/%.c=$(B)/%.o),$(CC) $(CPPFLAGS) -I. $(ALL_CFLAGS)))$\
	$(foreach f,$(wildcard test/unit/*.c test/fuzz/*.c test/bench/*.c),$(call $\
		more,$f,$(f:test/%.c=$(B)/%.o),$(CC) $(TCFLAGS)))$\
	$(foreach f,$(wildcard test/hostile/*.c test/faults/*.c test/platform/*.c test/tools/*.c),$(call $\
		more,$f,$(f:test/%.c=$(B)/%.o),$(CC) -std=gnu11 -D_GNU_SOURCE -pthread))])

# Each file that "make install" puts and "make uninstall" removes, as MODE:FILE:PATH.
# $(call in,DIR,MODE,FILES) is some with their own names; documents keep their places,
# so that links between them lead somewhere.
in = $(foreach f,$(3),$(2):$f:$(1)/$(notdir $f))
INSTALLED := $(call in,$(bindir),755,passt $(ALONE) pesto) 755:passt:$(bindir)/pasta \
	$(call in,$(mandir)/man1,644,passt.1 $(ALONE:=.1) pesto.1) \
	$(call in,$(mandir)/man7,644,passt-control.7) \
	644:contrib/completion/passt.bash:$(bashdir)/passt \
	$(call in,$(zshdir),644,contrib/completion/_passt) \
	$(call in,$(fishdir),644,contrib/completion/passt.fish) \
	$(call in,$(docdir),644,$(wildcard *.md AUTHORS)) \
	$(call in,$(docdir)/doc,644,$(wildcard doc/*.md doc/*.svg))
# Symbolic links, as TARGET:PATH. pasta is none: security modules tell programs by files
LINKS := passt.1:$(mandir)/man1/pasta.1 \
	$(foreach f,pasta qrap,passt:$(bashdir)/$f passt.fish:$(fishdir)/$f.fish)
# Folders that nobody else puts files in, the inner ones first
OWN_DIRS := $(docdir)/doc $(docdir)

part = $(word $(1),$(subst :, ,$(2)))
install: all
	$(foreach f,$(INSTALLED),$(newline)\
		$(INSTALL) -D -m $(call part,1,$f) $(call part,2,$f) $(DESTDIR)$(call part,3,$f))
	$(foreach f,$(LINKS),$(newline)ln -sf $(call part,1,$f) $(DESTDIR)$(call part,2,$f))

uninstall:
	rm -f $(foreach f,$(INSTALLED),$(DESTDIR)$(call part,3,$f)) \
		$(foreach f,$(LINKS),$(DESTDIR)$(call part,2,$f))
	for d in $(OWN_DIRS:%=$(DESTDIR)%); do \
		[ ! -d $$d ] || rmdir --ignore-fail-on-non-empty $$d; done

# What confines or starts the programs goes only where a packager or administrator
# wants it: see contrib/README.md
apparmordir ?= /etc/apparmor.d
userunitdir ?= $(prefix)/lib/systemd/user
APPARMOR_ABI ?= $(if $(wildcard $(apparmordir)/abi/4.0),4.0,3.0)
APPARMOR_FROM := contrib/apparmor/$(if $(filter-out 3.0,$(APPARMOR_ABI)),abi$(APPARMOR_ABI)/)
install-apparmor:
	$(foreach f,$(addprefix $(APPARMOR_FROM)usr.bin.,passt pasta) $(ALONE:%=contrib/apparmor/usr.bin.%),$(newline)\
		$(INSTALL) -D -m 644 $f $(DESTDIR)$(apparmordir)/$(notdir $f))
	$(foreach f,passt passt-common,$(newline)\
		$(INSTALL) -D -m 644 contrib/apparmor/abstractions/$f \
			$(DESTDIR)$(apparmordir)/abstractions/$f)

install-systemd:
	$(foreach f,passt pasta,$(newline)\
		$(INSTALL) -d $(DESTDIR)$(userunitdir) && \
		sed 's,/usr/bin/,$(bindir)/,' contrib/systemd/$f@.service \
			> $(DESTDIR)$(userunitdir)/$f@.service)

# The committed tree as a tarball, named after VERSION
dist:
	packaging/tree dist

# Packages of the tree as it is, below build/deb and build/rpm
deb rpm:
	packaging/$@

clean:
	rm -rf build passt pasta $(ALONE) pesto compile_commands.json

.PHONY: all static static-tests frames sanitized hostile-guest units \
	replays fuzzers fuzz hostile check test-unit bench bench-vhost bench-stream \
	bench-micro bench-plot soak layers \
	lint hooks compile_commands.json install install-apparmor install-systemd \
	uninstall dist deb rpm clean
.SECONDARY: $(TOBJS) $(FOBJS)

-include $(wildcard $(B)/*.d $(T)/obj/*.d $(B)/fuzz/obj/*.d $(Z)/*.d)
