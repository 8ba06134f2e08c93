# Virtual Services. Every target has one line of what it is for; `make help` prints them.
# KERNEL=cloud, KERNEL=rt or KERNEL=7.2 chooses another kernel for all of them, KERNEL=lockdep one that reports mistakes
# (tools/vm/debug); KDIR=... is a kernel build tree of your own, for modules and preflight. JOBS=n: tests run in at most n
# guests at a time, as many as there are processors if it is not given.

VM    := tools/vm
ENTER := $(VM)/enter
KO    := build/module/vs.ko
ROWS := stock cloud rt 7.2
DEBUG_KERNELS := lockdep kasan
PREFIX ?= /usr/local

export KERNEL ICOUNT JOBS

.PHONY: help setup modules tools demo paper check check-host check-guest check-rows check-debug check-kernel lint format bench soak truth docs shell preflight install clean distclean
.NOTPARALLEL:

help: ## print this
	@sed -nE 's/^([a-z-]+):.*## /\1\t/p' Makefile | expand -t 14

setup: ## make the environment in the cache: host packages, Debian tree, kernel, guest
	@$(VM)/setup

ifdef KDIR
modules: ## build vs.ko, against the stock kernel or KDIR=...
	$(VM)/module $(abspath $(KDIR)) $(CURDIR)/build/module
else
modules: setup
	$(ENTER) sh -c '$(VM)/module $$KDIR /vs/build/module'
endif

tools: setup ## build vsctl, its companions, and what the tests need compiled
	$(ENTER) cargo build --release --manifest-path tools/Cargo.toml --lib --bins --examples
	$(ENTER) make -s -C tools/testing
	$(ENTER) make -s -C tools/bench
	$(ENTER) make -s -C tools/truth
	$(ENTER) make -s -C tools/paper

demo: modules tools ## two tenants share one PostgreSQL, with and without VS
	tools/demo/run

paper: modules tools ## the experiments of the paper, repeated; fails if a goal is missed
	tools/paper/run

check: modules tools ## lint and all tests, host and guest (ends with: N passed, N failed, N skipped)
	tools/testing/run

check-host: modules tools ## the style of all code, and the tests that need no guest
	tools/testing/run host

check-guest: modules tools ## the tests in the guest
	tools/testing/run guest

check-rows: ## all tests under each kernel of the matrix: stock, its flavours cloud and rt, and 7.2
	@status=0; for row in $(ROWS); do $(MAKE) check KERNEL=$$row || status=1; done; exit $$status

check-debug: ## the tests in the guest under kernels that report what is wrong, each built first: tools/vm/debug
	@status=0; for row in $(DEBUG_KERNELS); do $(MAKE) check-guest KERNEL=$$row || status=1; done; exit $$status

check-kernel: modules tools ## the kernel's own selftests, without VS and with it, and what differs: tools/testing/kernel
	tools/testing/kernel/run $(TESTS)

lint: tools ## the style of all code: format, warnings of compilers and checkers, 100 columns
	tools/testing/lint

format: setup ## put all code into the form that lint wants, where a formatter can
	tools/testing/lint --fix

bench: modules tools ## the figures of Documentation/measurements.md
	tools/bench/run

MINUTES ?= 60
soak: modules tools ## an hour (MINUTES=n) of servers, stress, reconfiguration and reloads in one guest, SEED=n to repeat one
	tools/demo/database
	$(VM)/run --memory 3G --timeout $$(($(MINUTES) * 60 + 1800)) -- tools/testing/soak/run $(MINUTES) $(SEED)

truth: modules tools ## what VS charges to each of three tenants, against what servers of all idioms know, SEED=n to repeat, SEEDS=n for several
	tools/truth/run $(if $(SEED),--seed $(SEED)) $(if $(SEEDS),--seeds $(SEEDS)) $(IDIOMS)

docs: setup ## build Documentation/ as a book into build/book, and check its links
	tools/docs/build

shell: modules tools ## an interactive guest with the module loaded
	$(VM)/shell

preflight: ## say what is missing for building and running, KDIR=... for a kernel of your own
	@$(VM)/preflight $(abspath $(KDIR))

install: ## install what is built: vs.ko for the kernel it was built for, vsctl into PREFIX (DESTDIR is respected)
	$(VM)/install $(KO) tools/target/release/vsctl $(PREFIX)

# what guests and services wrote can be root's
clean: ## remove what was built here
	rm -rf build tools/target || sudo rm -rf build tools/target

distclean: clean ## remove the cache too: tree, kernels, guest
	$(VM)/cache
