# SPDX-License-Identifier: GPL-2.0-or-later
#
# Targets: all install check lint layers bench soak static clean

VERSION ?= $(shell git describe --tags --always 2>/dev/null || echo unknown)
prefix ?= /usr/local
bindir ?= $(prefix)/bin
mandir ?= $(prefix)/share/man
docdir ?= $(prefix)/share/doc/passt

B ?= build
# What the seccomp tables are made for, and where musl finds kernel headers
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
override CPPFLAGS += -D_GNU_SOURCE -DVERSION=\"$(VERSION)\" -I$(B) $(FORTIFY) $(MUSL_INC)
ALL_CFLAGS = -std=gnu11 $(WARN) $(HARDEN) $(CFLAGS)
ALL_LDFLAGS = -pie -Wl,-z,relro,-z,now $(LDFLAGS)

# Programs of their own are not part of passt
SRCS := $(filter-out qrap.c,$(wildcard *.c))
OBJS := $(SRCS:%.c=$(B)/%.o)

all: passt pasta qrap

# PROG and B make another build beside this one, for instance
# make B=build/small PROG=build/small/passt CPPFLAGS=-DFLOW_BITS=4 build/small/passt
PROG ?= passt
$(PROG): $(OBJS) $(EXTRA)
	$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $(OBJS) $(EXTRA)

pasta: passt
	ln -sf passt $@

qrap: qrap.c
	$(CC) $(CPPFLAGS) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ qrap.c

# For the tests of frames: with a small flow table, which is soon full; and with
# frames that are cut into pieces, see test/frame/scatter.c
SCATTER := tap_stream_init tap_tun_init tap_rx_frame
frames:
	$(MAKE) B=build/small PROG=build/small/passt build/small/passt \
		CPPFLAGS=-DFLOW_BITS=4
	$(MAKE) B=build/scatter PROG=build/scatter/passt build/scatter/passt \
		EXTRA=build/scatter/scatter.o \
		LDFLAGS="$(LDFLAGS) $(SCATTER:%=-Wl,--wrap=%)"

# musl's compiler wrapper knows no static-pie
STATIC := $(if $(findstring musl,$(CC)),-static -no-pie,-static-pie)
static:
	$(MAKE) B=build/static LDFLAGS="$(LDFLAGS) $(STATIC)" all

$(B)/%.o: %.c $(B)/seccomp.h | $(B)
	$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(B)/scatter.o: test/frame/scatter.c | $(B)
	$(CC) $(CPPFLAGS) -I. $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(B)/seccomp.h: seccomp.sh $(SRCS) | $(B)
	sh seccomp.sh "$(CC)" $(SRCS) > $@.tmp
	mv $@.tmp $@

$(B):
	mkdir -p $@

# Unit tests link every module but main(), with sanitizers
T := build/unit
TSAN := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined \
	-fno-omit-frame-pointer
TOBJS := $(patsubst %.c,$(T)/obj/%.o,$(filter-out passt.c,$(SRCS)))
UNITS := $(patsubst test/unit/%.c,$(T)/%,$(wildcard test/unit/*.c))
units: $(UNITS)
$(T)/obj/%.o: %.c $(B)/seccomp.h
	@mkdir -p $(T)/obj
	$(CC) -D_GNU_SOURCE -DVERSION=\"test\" -I$(B) -std=gnu11 $(WARN) \
		-fno-strict-aliasing $(TSAN) -MMD -MP -c -o $@ $<
$(T)/%: test/unit/%.c test/unit/tap.h $(TOBJS)
	$(CC) -D_GNU_SOURCE -DVERSION=\"test\" -I. -I$(B) -std=gnu11 $(WARN) \
		-fno-strict-aliasing $(TSAN) -o $@ $< $(TOBJS)

# This one takes the place of the modules that connections are handed to
$(T)/inbound: TSAN += $(foreach f,input_solicit_guest tcp_accepted \
	tcp_splice_accepted udp_listen_event,-Wl,--wrap=$(f))

# Fuzz targets: replayed over known inputs in each test run, or run by clang's
# libFuzzer: make fuzzers && build/fuzz/packet test/fuzz/corpus/packet
FUZZERS := $(patsubst test/fuzz/%.c,%,$(filter-out test/fuzz/replay.c,$(wildcard test/fuzz/*.c)))
replays: $(FUZZERS:%=$(B)/fuzz/%-replay)
$(B)/fuzz/%-replay: test/fuzz/%.c test/fuzz/replay.c $(TOBJS)
	@mkdir -p $(B)/fuzz
	$(CC) -D_GNU_SOURCE -DVERSION=\"test\" -I. -I$(B) -std=gnu11 $(WARN) \
		-fno-strict-aliasing $(TSAN) -o $@ $< test/fuzz/replay.c $(TOBJS)

fuzzers: $(FUZZERS:%=$(B)/fuzz/%)
$(B)/fuzz/%: test/fuzz/%.c $(SRCS) $(B)/seccomp.h
	@mkdir -p $(B)/fuzz
	clang -D_GNU_SOURCE -DVERSION=\"fuzz\" -I. -I$(B) -std=gnu11 -O1 -g \
		-fno-strict-aliasing -fsanitize=fuzzer,address,undefined \
		-o $@ $< $(filter-out passt.c,$(SRCS))

check: all
	test/run

bench: all
	test/bench/run

# Five minutes for each of twelve ways: does a source port that comes round stall?
soak: all
	bash test/bench/ports 300

layers: all
	scripts/layers

lint:
	scripts/lint

install: all
	install -D -m 755 passt $(DESTDIR)$(bindir)/passt
	ln -sf passt $(DESTDIR)$(bindir)/pasta
	install -D -m 755 qrap $(DESTDIR)$(bindir)/qrap
	install -D -m 644 passt.1 $(DESTDIR)$(mandir)/man1/passt.1
	ln -sf passt.1 $(DESTDIR)$(mandir)/man1/pasta.1
	install -D -m 644 qrap.1 $(DESTDIR)$(mandir)/man1/qrap.1
	install -D -m 644 README.md $(DESTDIR)$(docdir)/README.md
	install -D -m 644 doc/design.md $(DESTDIR)$(docdir)/design.md

clean:
	rm -rf build passt pasta qrap

.PHONY: all static frames units replays fuzzers check bench soak layers lint install clean
.SECONDARY: $(TOBJS)

-include $(wildcard $(B)/*.d $(T)/obj/*.d)
