# conc - threads, processes and pools for Lua 5.4
#
#   make            build/conc/core.so, build/conc/http_core.so, build/libconc.a
#   make demo       install what is missing, build, run the tour of the examples
#   make repl       build, and Lua's prompt with conc of this tree, nothing installed
#                   (RUN=examples/errors.lua a program in its place)
#   make test       install what is missing, build, run the tests
#                   (SPEC="spec/lock_spec.lua ..." some; ONLY=c the C tests;
#                   ONLY=lua the spec files; FILTER=pattern of names)
#   make install    PREFIX=/usr/local DESTDIR=; make uninstall
#
#   make asan tsan valgrind      the tests under the sanitizers, under valgrind
#   make tsan-lua                the same with an instrumented Lua (from its source)
#   make lint layers port        static checks; who may include whom; compiles
#                                for musl and arm64
#   make coverage bench fuzz model docs
#
# Settings: CC, CFLAGS, LDFLAGS, LUA, LUA_INCDIR, BUILD, DEBUG=1 (invariants
# are checked at run time), HTTP=0 (without libcurl), V=1 (show commands). What
# they change is rebuilt. Only 'demo', 'test' and the checks ever install system
# packages.

MAKEFLAGS += --no-builtin-rules
.SUFFIXES:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := all

# ---- settings ---------------------------------------------------------------

ifeq ($(origin CC),default)
CC = gcc
endif
LUA     ?= lua5.4
PREFIX  ?= /usr/local
BUILD   ?= build
HTTP    ?= 1
CFLAGS  ?= $(if $(DEBUG),-O1,-O2) -g
TESTCC  ?= $(CC)

pkg = $(shell pkg-config $(1) lua5.4 2>/dev/null || pkg-config $(1) lua-5.4 2>/dev/null)
ifndef LUA_INCDIR
LUA_INCDIR := $(or $(patsubst -I%,%,$(firstword $(filter -I%,$(call pkg,--cflags-only-I)))),/usr/include/lua5.4)
endif
ifndef LUA_LIB
LUA_LIB := $(or $(call pkg,--libs),-llua5.4)
endif
CURL_LIB ?= $(if $(CURL_LIBDIR),-L$(CURL_LIBDIR)) -lcurl

# All processors, where no -j says otherwise: for goals that call make again.
ALL_CPUS := $(if $(findstring j,$(firstword -$(MAKEFLAGS))),,-j$(shell nproc 2>/dev/null || echo 1))
AGAIN = $(MAKE) --no-print-directory $(ALL_CPUS)

OS   := $(shell uname -s | tr A-Z a-z)
here := $(CURDIR)
out  := $(abspath $(BUILD))

# ---- sources: all of src/, whoever adds a file ------------------------------

SRC       := $(filter-out $(filter-out src/sys_$(OS).c,$(wildcard src/sys_*.c)),$(wildcard src/*.c))
HTTP_SRC  := $(filter src/http%.c,$(SRC))
# What a forked child touches lies together: each page of it is a fault. Of what is a
# thread's own, gate's is large, and of little use there: away from the rest.
CHILD_SRC := $(patsubst %,src/%.c,gate record process poke roster keeper thread state bind_process \
             call carrier task guard arena slab pages end bind message sys_$(OS) pool timer watch)
CORE_SRC  := $(CHILD_SRC) $(filter-out $(CHILD_SRC) $(HTTP_SRC),$(SRC))
CTEST_SRC := $(wildcard spec/c/*_test.c)
CSO_SRC   := $(wildcard spec/c/*_so.c)
SPEC      ?= $(wildcard spec/*_spec.lua)

obj       = $(patsubst src/%.c,$(BUILD)/obj/%.o,$(1))
CORE_OBJ  := $(call obj,$(CORE_SRC))
HTTP_OBJ  := $(if $(filter 1,$(HTTP)),$(call obj,$(HTTP_SRC)))
CORE_SO   := $(BUILD)/conc/core.so
HTTP_SO   := $(if $(HTTP_OBJ),$(BUILD)/conc/http_core.so)
LIB       := $(BUILD)/libconc.a
META      := $(BUILD)/conc/meta.lua
CTESTS    := $(patsubst spec/c/%.c,$(BUILD)/spec/%,$(CTEST_SRC))
CSOS      := $(patsubst spec/c/%_so.c,$(BUILD)/spec/%.so,$(CSO_SRC))
HOST      := $(if $(wildcard examples/host/host.c),$(BUILD)/host)
BOUNDED   := $(BUILD)/spec/bounded
DEBUG_LIB := $(BUILD)/spec/libconc_debug.a
DEBUG_OBJ := $(CORE_OBJ:$(BUILD)/obj/%=$(BUILD)/dobj/%)

# ---- flags --------------------------------------------------------------

WARN   = -Wall -Wextra -Wpedantic -Wshadow -Wconversion $(if $(WERROR),-Werror)
SANE   = $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-omit-frame-pointer $(if $(filter thread,$(SANITIZE)),-Wno-tsan))
# A child keeps the counts of its first steps (gcc's own fork begins anew), and
# the debug objects have the lines of the others (so no -O1).
COVER  = $(if $(COVERAGE),--coverage -fprofile-update=atomic -fno-builtin-fork)
TESTED = -DCONC_DEBUG $(if $(COVERAGE),,-O1)
ALL_CFLAGS = -std=gnu11 -fPIC -fvisibility=hidden -ftls-model=initial-exec -fno-plt -pthread $(WARN) $(if $(DEBUG),-DCONC_DEBUG) \
             -I$(LUA_INCDIR) $(if $(CURL_INCDIR),-I$(CURL_INCDIR)) $(SANE) $(COVER) $(CPPFLAGS) $(CFLAGS)
LINK   = $(CC) $(SANE) $(if $(COVERAGE),--coverage) $(LDFLAGS)
SYSLIB = -pthread -ldl -lm
ifeq ($(OS),darwin)
SHARED = -bundle -undefined dynamic_lookup
else
SHARED = -shared -Wl,-z,now
endif
LOCALIZE = $(if $(COVERAGE),true,$(or $(OBJCOPY),objcopy) --localize-hidden)
ifneq ($(COVERAGE),)
# What leaves by _exit writes its counters first.
WRAP     = -Wl,--wrap=_exit
WRAP_OBJ = $(BUILD)/spec/coverage.o
endif

# Says "CC build/obj/queue.o" in place of the command.
say = $(if $(V),,@echo '  $(1)  $@';)

# ---- build ------------------------------------------------------------------

.PHONY: all clean install uninstall demo demo-run repl test test-run asan tsan valgrind \
        lint layers port coverage bench fuzz model docs FORCE
FORCE:

all: $(CORE_SO) $(HTTP_SO) $(LIB) $(META)

# Definitions for editors (LuaLS), from the one source of the reference.
$(META): lua/conc/reference.lua lua/conc/manual.lua docs/build.lua $(BUILD)/flags
	$(call say,LUA)CONC_BUILD=$(BUILD) $(LUA) docs/build.lua meta

# Two files that change when the flags, or the list of objects, do.
stamp = @printf '%s\n' '$(1)' | cmp -s - $@ || printf '%s\n' '$(1)' > $@
$(BUILD)/flags: FORCE
	@mkdir -p $(BUILD)/obj $(BUILD)/dobj $(BUILD)/conc $(BUILD)/spec
	$(call stamp,$(CC) $(ALL_CFLAGS) | $(LINK) $(WRAP))
$(BUILD)/objects: FORCE $(BUILD)/flags
	$(call stamp,$(CORE_OBJ) | $(HTTP_OBJ))

$(BUILD)/obj/%.o: src/%.c $(BUILD)/flags
	$(call say,CC)$(CC) $(ALL_CFLAGS) -MMD -MP -c $< -o $@

$(CORE_SO): $(CORE_OBJ) $(WRAP_OBJ) $(BUILD)/objects
	$(call say,LD)$(LINK) $(SHARED) $(WRAP) -o $@ $(CORE_OBJ) $(WRAP_OBJ) $(SYSLIB)

$(BUILD)/conc/http_core.so: $(HTTP_OBJ) $(BUILD)/objects
	$(call say,LD)$(LINK) $(SHARED) -o $@ $(HTTP_OBJ) $(CURL_LIB) $(SYSLIB)

# The core is one object in it, in which only the names of conc.h are global: a
# host may have a queue_put of its own. The HTTP module is another: who does not
# open it (luaopen_conc_http_core) links neither it nor libcurl.
$(LIB): $(CORE_OBJ) $(HTTP_OBJ) $(BUILD)/objects
	$(call say,AR)rm -f $@ && set -e && \
	join () { if [ $$# -gt 1 ]; then $(CC) -r -nostdlib -o "$$@" && $(LOCALIZE) "$$1"; fi; } && \
	join $(BUILD)/obj/libconc.o $(CORE_OBJ) && join $(BUILD)/obj/libconc_http.o $(HTTP_OBJ) && \
	$(AR) rcs $@ $(BUILD)/obj/libconc.o $(if $(HTTP_OBJ),$(BUILD)/obj/libconc_http.o)

$(BUILD)/host: examples/host/host.c $(LIB) $(BUILD)/flags
	$(call say,CC)$(CC) $(ALL_CFLAGS) -Isrc $< -o $@ -MMD -MP $(LDFLAGS) -Wl,-E $(LIB) $(LUA_LIB) $(SYSLIB)

# ---- test programs ----------------------------------------------------------

$(BOUNDED): spec/bounded.c
	@mkdir -p $(@D)
	$(call say,CC)$(TESTCC) -std=gnu11 -O2 -g $(WARN) $< -o $@

# spec/c/x_test.c: a C test. It calls the core as debug builds have it, with
# its checks and hooks.
$(BUILD)/dobj/%.o: src/%.c $(BUILD)/flags
	$(call say,CC)$(CC) $(ALL_CFLAGS) $(TESTED) -MMD -MP -c $< -o $@

$(DEBUG_LIB): $(DEBUG_OBJ) $(BUILD)/objects
	@rm -f $@
	$(call say,AR)$(AR) rcs $@ $(DEBUG_OBJ)

$(BUILD)/spec/%_test: spec/c/%_test.c $(DEBUG_LIB) $(WRAP_OBJ) $(BUILD)/flags
	$(call say,CC)$(CC) $(ALL_CFLAGS) $(TESTED) -Isrc $< -o $@ -MMD -MP $(LDFLAGS) $(WRAP) $(DEBUG_LIB) $(WRAP_OBJ) \
	  -Wl,--as-needed $(LUA_LIB) $(SYSLIB)

# spec/c/x_so.c: a shared object that a spec loads or preloads.
$(BUILD)/spec/%.so: spec/c/%_so.c $(BUILD)/flags
	$(call say,CC)$(CC) $(ALL_CFLAGS) -fvisibility=default -Isrc $< -o $@ -MMD -MP -shared $(SYSLIB)

$(BUILD)/spec/coverage.o: spec/c/coverage.c $(BUILD)/flags
	$(call say,CC)$(CC) -std=gnu11 -O1 -fPIC -fvisibility=hidden -c $< -o $@

-include $(wildcard $(BUILD)/obj/*.d $(BUILD)/dobj/*.d $(BUILD)/spec/*.d $(BUILD)/*.d)

# ---- run in the tree --------------------------------------------------------

# The modules of this tree, whatever the folder a program changes to; and the
# settings of this build, for a test that calls make.
TREE = env LUA='$(or $(UNDER),$(LUA))' CONC_BUILD='$(out)' \
         LUA_PATH_5_4='$(here)/lua/?.lua;$(here)/lua/?/init.lua;$(here)/?.lua;;' \
         LUA_CPATH_5_4='$(out)/?.so;$(out)/spec/?.so;;' \
         CC='$(CC)' CFLAGS='$(CFLAGS)' DEBUG='$(DEBUG)' HTTP='$(HTTP)' COVERAGE='$(COVERAGE)'

demo:
	@.ci/need demo
	@$(AGAIN) demo-run

demo-run: all $(HOST)
	@$(TREE) $(LUA) examples/demo.lua $(HOST)

repl: all
	@$(TREE) $(LUA) $(or $(RUN),-i -e 'conc = require "conc"')

test:
	@.ci/need test
	@$(AGAIN) test-run

.PHONY: test-build
test-build: all $(HOST) $(BOUNDED) $(CTESTS) $(CSOS)
test-run: test-build
	@$(TREE) FILTER='$(FILTER)' $(LUA) spec/run.lua $(out) $(if $(filter c,$(ONLY)),,$(SPEC)) \
	  $(if $(filter lua,$(ONLY))$(filter command,$(origin SPEC)),,$(CTESTS))

# ---- checks -------------------------------------------------------------

lib_of = $(shell gcc -print-file-name=$(1).so)

# The tests' Lua under a sanitizer is $(BUILD)/<sanitizer>/spec/lua, which starts the
# real one so: Lua is not instrumented, the runtime has to be there before it.
# apart.so keeps the runtime from other programs (the shell crashes under libtsan).
define under
mkdir -p $(out)/$(1)/spec && printf '%s\n' '#!/bin/sh' '$(2) "$$@"' > $(out)/$(1)/spec/lua && chmod +x $(out)/$(1)/spec/lua
endef
preload = LD_PRELOAD="$(out)/$(1)/spec/apart.so $(foreach l,$(2),$(call lib_of,lib$(l)))" exec $(LUA)

# Each report goes to a file of its own, whichever process makes it, and fails
# the test file that was running. Leaks of the arena are what spec/helper.lua
# counts; those of malloc, ASan at the end of a program.
reports = $(out)/$(1)/test/report-of
# Or test-build.
DO ?= test-run
asan:
	@.ci/need test
	@$(call under,asan,$(call preload,asan,asan ubsan))
	@CONC_SANITIZER=asan TEST_SLOW=3 TEST_REPORTS='$(call reports,asan)' \
	  ASAN_OPTIONS='verify_asan_link_order=0:abort_on_error=1:disable_coredump=1:log_path=$(call reports,asan)' \
	  LSAN_OPTIONS='print_suppressions=0:suppressions=$(here)/.ci/lsan.supp' \
	  UBSAN_OPTIONS='halt_on_error=1:print_stacktrace=1:log_path=$(call reports,asan)' \
	  $(AGAIN) $(DO) CC=gcc BUILD='$(BUILD)/asan' DEBUG=1 SANITIZE=address,undefined UNDER='$(out)/asan/spec/lua'

tsan_options = exitcode=0:die_after_fork=0:report_signal_unsafe=0:suppressions=$(here)/.ci/tsan.supp:log_path=$(call reports,$(1))
tsan:
	@.ci/need test
	@$(call under,tsan,$(call preload,tsan,tsan))
	@CONC_SANITIZER=tsan TEST_SLOW=5 TEST_REPORTS='$(call reports,tsan)' \
	  TSAN_OPTIONS='$(call tsan_options,tsan)' \
	  $(AGAIN) $(DO) CC=gcc BUILD='$(BUILD)/tsan' DEBUG=1 SANITIZE=thread UNDER='$(out)/tsan/spec/lua'

# The same with a Lua that is instrumented, too: of Debian's source package, or of
# LUA_SOURCE, the src/ of a Lua 5.4 with the headers of LUA_INCDIR. It is a program linked
# with the runtime: there is nothing to preload.
TSAN_LUA = $(out)/tsan-lua/spec/lua
tsan-lua:
	@.ci/need tsan-lua
	@$(if $(LUA_SOURCE),,.ci/lua-source '$(out)/lua-source')
	@mkdir -p $(out)/tsan-lua/spec
	@$(AGAIN) tsan-lua-run LUA_SOURCE='$(or $(LUA_SOURCE),$(out)/lua-source/lua/src)'

.PHONY: tsan-lua tsan-lua-run
tsan-lua-run: $(TSAN_LUA)
	@CONC_SANITIZER=tsan TEST_SLOW=10 TEST_REPORTS='$(call reports,tsan-lua)' \
	  TSAN_OPTIONS='$(call tsan_options,tsan-lua)' \
	  $(AGAIN) test-run CC=gcc BUILD='$(BUILD)/tsan-lua' DEBUG=1 SANITIZE=thread UNDER='$(TSAN_LUA)' ONLY=lua
$(TSAN_LUA): $(wildcard $(LUA_SOURCE)/*.[ch])
	$(call say,CC)gcc -std=gnu99 -O1 -g -w -fsanitize=thread -DLUA_COMPAT_5_3 -DLUA_USE_LINUX -I$(LUA_SOURCE) \
	  $(filter-out %/luac.c,$(filter %.c,$^)) -o $@ -Wl,-E -lm -ldl

MEMCHECK = valgrind -q --leak-check=no --error-exitcode=99 --fair-sched=yes --suppressions=$(abspath .ci/valgrind.supp) \
  --log-file=$(call reports,valgrind).%p
valgrind:
	@.ci/need valgrind
	@$(call under,valgrind,exec $(MEMCHECK) $(LUA))
	@CONC_SANITIZER=valgrind CONC_ARENA=1G TEST_SLOW=20 TEST_REPORTS='$(call reports,valgrind)' \
	  TEST_COMMAND='$(MEMCHECK)' \
	  $(AGAIN) test-run BUILD='$(BUILD)/valgrind' DEBUG=1 UNDER='$(out)/valgrind/spec/lua'

# Each check apart as well, e.g. 'make lint-tidy'; 'make -k lint' runs all of
# them even when one fails.
LINTS = lint-lua lint-gcc lint-clang lint-cppcheck lint-tidy
.PHONY: lint-need lint-build $(LINTS)
lint: $(LINTS)
$(LINTS): lint-need
lint-need:
	@.ci/need lint
lint-build: all $(HOST) $(CTESTS) $(CSOS)

lint-lua:
	luacheck -q $(wildcard lua spec examples bench docs) .ci/*.lua

lint-gcc lint-clang: lint-%:
	@$(AGAIN) lint-build CC=$* BUILD='$(BUILD)/lint-$*' WERROR=1

lint-cppcheck:
	cppcheck -q --std=c11 --enable=warning,performance,portability --inline-suppr --error-exitcode=1 \
	  --suppressions-list=.ci/cppcheck.supp -DLUA_VERSION_NUM=504 -D__linux__ src

lint-tidy:
	clang-tidy --quiet --warnings-as-errors='*' $(SRC) -- -std=gnu11 -D_GNU_SOURCE -include .ci/analyzer.h -I$(LUA_INCDIR)

# The core compiles for another C library and another processor, with the
# headers of this machine's Lua (and, for musl, of its kernel).
multiarch = /usr/include/$(shell gcc -print-multiarch)
port:
	@.ci/need port
	@mkdir -p $(BUILD)/port/kernel
	@cp $(LUA_INCDIR)/*.h $(wildcard $(multiarch)/lua5.4-*.h) $(BUILD)/port
	@ln -sfn /usr/include/linux $(BUILD)/port/kernel/linux
	@ln -sfn /usr/include/asm-generic $(BUILD)/port/kernel/asm-generic
	@ln -sfn $(multiarch)/asm $(BUILD)/port/kernel/asm
	@$(AGAIN) port-cc PORTCC='musl-gcc -isystem $(BUILD)/port/kernel'
	@$(AGAIN) port-cc PORTCC=aarch64-linux-gnu-gcc

.PHONY: port-cc
port-cc: $(CORE_SRC:src/%.c=port-cc-%)
port-cc-%: src/%.c
	@echo '  $(firstword $(PORTCC)) $<'
	@$(PORTCC) -std=gnu11 -O1 $(WARN) -Werror -I$(BUILD)/port -c $< -o /dev/null

layers:
	@$(LUA) .ci/layers.lua

coverage:
	@.ci/need test
	@mkdir -p '$(BUILD)/coverage' && find '$(BUILD)/coverage' -name '*.gcda' -delete
	@failed=; $(AGAIN) test-run CC=gcc BUILD='$(BUILD)/coverage' COVERAGE=1 CFLAGS='-O0 -g' || failed=1; \
	  $(LUA) .ci/coverage.lua '$(BUILD)/coverage' && [ -z "$$failed" ]

bench docs:
	@.ci/need $@
	@$(AGAIN) $@-run

.PHONY: bench-run docs-run
bench-run: all  # in the paths of who runs it, where the other libraries are
	@env LUA='$(LUA)' CONC_BUILD='$(out)' CC='$(CC)' $(LUA) bench/run.lua $(BENCH)
docs-run: all
	@$(TREE) $(LUA) docs/build.lua

# Each spec/fuzz/x_fuzz.c with libFuzzer; spec/fuzz/x/ is its corpus, and
# what it finds goes to $(BUILD)/fuzz/x/.
FUZZ_RUNS    ?= 10000000
FUZZ_SECONDS ?= 0
FUZZERS := $(patsubst spec/fuzz/%_fuzz.c,%,$(wildcard spec/fuzz/*_fuzz.c))
fuzz:
	@.ci/need fuzz
	@$(AGAIN) fuzz-run CC=clang BUILD='$(BUILD)/fuzz' \
	  SANITIZE=address,undefined CFLAGS='-O1 -g -fsanitize=fuzzer-no-link'

.PHONY: fuzz-run
fuzz-run: $(FUZZERS:%=fuzz-run-%)
fuzz-run-%: $(BUILD)/%_fuzz
	@mkdir -p $(BUILD)/$*
	$(TREE) $< -runs=$(FUZZ_RUNS) -max_total_time=$(FUZZ_SECONDS) -max_len=1024 -timeout=60 -rss_limit_mb=2048 \
	  -artifact_prefix=$(BUILD)/$*- $(BUILD)/$* $(wildcard spec/fuzz/$*)

$(FUZZERS:%=$(BUILD)/%_fuzz): $(BUILD)/%_fuzz: spec/fuzz/%_fuzz.c $(CORE_OBJ) $(BUILD)/flags
	$(call say,CC)$(CC) $(ALL_CFLAGS) -fsanitize=fuzzer -Isrc $< -o $@ -MMD -MP $(CORE_OBJ) $(LUA_LIB) $(SYSLIB)

# Models of the protocols: Promela for spin, or a Lua program that tries every
# interleaving.
model:
	@.ci/need model
	@set -e; mkdir -p $(BUILD)/model; for m in $(abspath $(wildcard docs/model/*.pml)); do echo "== $$m"; \
	  (cd $(BUILD)/model && spin -a $$m && $(CC) -w -O2 -DSAFETY -o pan pan.c && ./pan -m1000000 > pan.out; \
	   cat pan.out; grep -q 'errors: 0' pan.out); done
	@set -e; for m in $(wildcard docs/model/*.lua); do echo "== $$m"; $(TREE) $(LUA) $$m; done

# ---- install ----------------------------------------------------------------

LUADIR   ?= $(PREFIX)/share/lua/5.4
LIBDIR   ?= $(PREFIX)/lib/lua/5.4
ALIBDIR  ?= $(PREFIX)/lib
INCDIR   ?= $(PREFIX)/include
INSTALL  ?= install
LUA_FILES := $(patsubst lua/%,%,$(shell find lua -name '*.lua' 2>/dev/null))
LUA_DIRS  := $(sort $(dir $(LUA_FILES)))

install: install-rock
	$(INSTALL) -d '$(DESTDIR)$(ALIBDIR)' '$(DESTDIR)$(INCDIR)'
	$(INSTALL) -m 644 $(LIB) '$(DESTDIR)$(ALIBDIR)/libconc.a'
	$(INSTALL) -m 644 src/conc.h '$(DESTDIR)$(INCDIR)/conc.h'

# Only what 'require' finds: the part that LuaRocks installs.
.PHONY: install-rock
install-rock: all
	$(INSTALL) -d '$(DESTDIR)$(LIBDIR)/conc'
	$(INSTALL) -m 755 $(CORE_SO) $(HTTP_SO) '$(DESTDIR)$(LIBDIR)/conc'
	@set -e; for d in $(LUA_DIRS); do $(INSTALL) -d "$(DESTDIR)$(LUADIR)/$$d"; done
	@set -e; for f in $(LUA_FILES); do $(INSTALL) -m 644 "lua/$$f" "$(DESTDIR)$(LUADIR)/$$f"; done
	$(INSTALL) -m 644 $(META) $(META:.lua=_http.lua) '$(DESTDIR)$(LUADIR)/conc'

uninstall:
	rm -f '$(DESTDIR)$(LIBDIR)/conc/core.so' '$(DESTDIR)$(LIBDIR)/conc/http_core.so' \
	  '$(DESTDIR)$(ALIBDIR)/libconc.a' '$(DESTDIR)$(INCDIR)/conc.h'
	@for f in $(LUA_FILES) conc/meta.lua conc/meta_http.lua; do rm -f "$(DESTDIR)$(LUADIR)/$$f"; done
	@for d in $(shell printf '%s\n' $(LUA_DIRS) | sort -r); do rmdir "$(DESTDIR)$(LUADIR)/$$d" 2>/dev/null || true; done
	@rmdir '$(DESTDIR)$(LIBDIR)/conc' 2>/dev/null || true

clean:
	rm -rf $(BUILD)
