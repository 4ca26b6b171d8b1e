# SPDX-License-Identifier: ISC
#
# The front door: every command that a person types. `make help` lists them.
# It works with GNU make 3.81, which macOS ships.

CARGO ?= cargo
DARWIN := $(filter Darwin,$(shell uname -s))

# The builds of OpenSSH that the tests need; openssh-portable/Cargo.toml says
# what they are. The model is for systems without Darwin's kernel.
comma := ,
TEST_VARIANTS := patched,upstream$(if $(DARWIN),,$(comma)darwin-model)
MODEL := $(if $(DARWIN),,target/darwin-model/libdarwin-model.so)
MODEL_SOURCES := $(wildcard regress/darwin-model/*.c)
MODEL_HEADERS := $(wildcard regress/darwin-model/*.h)

# What openssh-portable/build.rs goes by. Nothing is exported that is not set:
# the defaults are in one place, there.
export PREFIX SYSCONFDIR CONFIGURE_FLAGS OPENSSH_TARBALL OPENSSH_SRC CARGO

# What is set for this make is not for those below it.
OUTSIDE = unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES

# Cargo does not show what a build script prints, so descriptor 3 takes its
# progress around cargo. A target directory that is shared by several checkouts
# would take one's build for another's.
BUILD = $(OUTSIDE); exec 3>&1; PROGRESS_FD=3 \
    CARGO_TERM_PROGRESS_WHEN=never $(CARGO) build \
    --target-dir target -p openssh-portable

.PHONY: all check demo bench-filter darwin install clean distclean help \
    test-programs darwin-programs

all: target/prerequisites-build
	@$(BUILD)

check: test-programs $(if $(DARWIN),,darwin-programs)
	@$(OUTSIDE); exec regress/run

demo: test-programs
	@$(OUTSIDE); exec regress/demo

bench-filter: target/prerequisites-test
	@$(OUTSIDE); exec $(CARGO) bench -p rust-tun

darwin: darwin-programs
	@$(OUTSIDE); exec regress/darwin-binaries/run

test-programs: target/prerequisites-test $(MODEL)
	@$(BUILD) --no-default-features --features $(TEST_VARIANTS)

darwin-programs: target/prerequisites-darwin
	@$(BUILD) --no-default-features --features darwin

install:
	@$(OUTSIDE); exec openssh-portable/install target/openssh/install "$(DESTDIR)"

target/prerequisites-build target/prerequisites-test \
target/prerequisites-darwin: openssh-portable/prerequisites
	@openssh-portable/prerequisites $(@:target/prerequisites-%=%)
	@mkdir -p target && touch $@

target/prerequisites-darwin: openssh-portable/darwin/requirements.txt

target/darwin-model/libdarwin-model.so: $(MODEL_SOURCES) $(MODEL_HEADERS) | target/prerequisites-test
	@mkdir -p $(@D)
	@echo "the Darwin model: cc"
	@cc -shared -fPIC -fvisibility=hidden -std=c11 -D_GNU_SOURCE -O2 -g \
	    -Wall -Wextra -Werror -o $@ $(MODEL_SOURCES) -ldl -lpthread

clean:
	rm -rf target

distclean: clean
	rm -rf openssh-portable/tree openssh-portable/download

help:
	@echo "make               build the patched OpenSSH"
	@echo "make install       install it (builds first if need be)"
	@echo "make check         run all tests of this repository"
	@echo "make demo          carry Ethernet between two namespaces, and show it"
	@echo "make bench-filter  measure the filter from bpf to ssh"
	@echo "make darwin        cross-build it for macOS, arm64 and x86_64"
	@echo "make clean         remove everything built"
	@echo "make distclean     remove everything built, unpacked or downloaded"
	@echo "make help          this list"
	@echo "Variables:"
	@echo "  PREFIX=/usr/local          where it will be installed"
	@echo "  SYSCONFDIR=PREFIX/etc      where its configuration will be"
	@echo "  DESTDIR=                   for install: put everything below this folder"
	@echo "  CONFIGURE_FLAGS=           more for OpenSSH's configure: \"--with-pam ...\""
	@echo "  OPENSSH_TARBALL=           your own copy of the pinned release, or its folder"
	@echo "  OPENSSH_SRC=               your own unpacked tree, taken unchecked"
