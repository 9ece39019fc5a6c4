# A thin face over CMake: `make help` lists what there is. Everything is non-interactive.
BUILD  ?= build
JOBS   ?= $(shell nproc)
MINUTES ?= 5
ARGS   ?=
CONFIG ?=

.DEFAULT_GOAL := build
.NOTPARALLEL:
.PHONY: build deps data run test bench kernels fuzz gpu-check gpu-kit bundle clean help ready \
  fine-tune programs everything aarch64 ladder

build: ready programs

# Packages that are missing: `build` only names them, the commands that promise a whole set-up
# install them.
ready:
	@.cmake/deps.sh --check
deps:
	@.cmake/deps.sh

$(BUILD)/build.ninja:
	@cmake -S . -B $(BUILD) -G Ninja --log-level=NOTICE $(CONFIG)

programs everything: $(BUILD)/build.ninja
	@cmake --build $(BUILD) -j $(JOBS) --target $(if $(filter programs,$@),programs,all)

data: build
	@data/fetch.sh cifar10

run: deps
	@$(MAKE) --no-print-directory programs
	@experiments/quick.sh $(BUILD) $(MINUTES)

# A network of published weights on another data set, as experiments/fine-tuning.md explains it.
MODEL ?= vit_tiny_patch16
DATA ?= cifar10
fine-tune: build
	@test -n "$(FILE)" || \
	  { echo "make fine-tune: name the weights by FILE=weights.safetensors" >&2; exit 2; }
	@$(BUILD)/train --recipe fine-tune --model $(MODEL) --weights $(FILE) --data $(DATA) \
	  --img-size 224 $(ARGS)

# A lesson of experiments/course, and the check of its exercises; the ladder's table (of softmax
# alone: ARGS=softmax).
lesson-%: ready $(BUILD)/build.ninja
	@python3 -B experiments/course/course.py run $* $(BUILD)
check-lesson-%: ready $(BUILD)/build.ninja
	@python3 -B experiments/course/course.py check $* $(BUILD)
ladder: ready $(BUILD)/build.ninja
	@cmake --build $(BUILD) -j $(JOBS) --target ladder
	@$(BUILD)/ladder $(ARGS)

bench: build
	@$(BUILD)/bench

test: deps
	@$(MAKE) --no-print-directory everything
	@ctest --test-dir $(BUILD) --output-on-failure -j $(JOBS)

# Every CUDA source through nvcc, warnings being errors; registers, shared memory and spills of each
# kernel.
kernels:
	@python3 .cmake/kernels.py $(BUILD)/kernels --jobs $(JOBS)

# The op table compiled for aarch64 and run under qemu. Debian's packages: g++-aarch64-linux-gnu,
# qemu-user-static, and of the architecture arm64 libfmt-dev, libkissfft-dev, liblapacke-dev,
# libtomlplusplus-dev and libjpeg62-turbo-dev.
aarch64:
	@cmake --preset aarch64 --log-level=NOTICE
	@cmake --build build-aarch64 -j $(JOBS) --target test_op_table
	@ctest --test-dir build-aarch64 --output-on-failure -R '^test_op_table$$' --timeout 3600

# Every fuzz target for FUZZ_SECONDS, by clang's libFuzzer.
FUZZ_SECONDS ?= 3600
fuzz:
	@cmake --preset fuzz --log-level=NOTICE && cmake --build build-fuzz -j $(JOBS) --target fuzzers
	@for target in $$(ls tests/fuzz/corpus); do \
	  echo "$$target: $(FUZZ_SECONDS) s"; (cd build-fuzz/fuzz/$$target && ../../tests/fuzz_$$target \
	    -max_total_time=$(FUZZ_SECONDS) -timeout=20 -rss_limit_mb=2048 -print_final_stats=1 . \
	    $(CURDIR)/tests/fuzz/corpus/$$target 2>log || { tail -n 40 log; exit 1; }) || exit 1; done

# On a machine with a GPU: build, test and measure natively; writes experiments/gpu/<device>.md.
# ARGS: its options.
gpu-check:
	@python3 experiments/gpu/check.py $(BUILD)-gpu --jobs $(JOBS) $(ARGS)

# Programs, device tests and libraries for a GPU machine that has neither compiler nor network, nor
# much time: kit.py says how they are used there.
gpu-kit:
	@python3 experiments/gpu/kit.py $(BUILD)-gpu $(BUILD)-kit --jobs $(JOBS) $(ARGS)

# Sources and packages in one archive, for such a machine without network.
bundle:
	@.cmake/bundle.sh $(BUILD)/passband-bundle.tar.gz

clean:
	@rm -rf $(BUILD)

help:
	@echo 'Passband: see how attention and convolution differ'
	@echo
	@echo '  make run     set everything up, train AlterNet on CIFAR-10 for MINUTES (5), analyse it'
	@echo '  make         build the programs train, analyze and bench into $(BUILD)/'
	@echo '  make test    set up, build and run the whole test suite'
	@echo '  make deps    install the packages that are missing (by apt, dnf or pacman)'
	@echo '  make data    get CIFAR-10 into data/downloads/'
	@echo '  make fine-tune FILE=weights.safetensors  go on from published weights (MODEL, DATA, ARGS)'
	@echo '  make bench   measure operations and training steps beside the machine'"'"'s peak'
	@echo '  make lesson-N, check-lesson-N  a lesson of experiments/course (1 to 10), its exercises'
	@echo '  make ladder  kernels from naive to tensor cores: what each step moves and counts (no GPU)'
	@echo '  make kernels compile the CUDA kernels with nvcc, print what each takes (needs no GPU)'
	@echo '  make aarch64 the op table for aarch64, cross-compiled and run under qemu'
	@echo '  make fuzz    try hostile input on every reader for hours, with clang (tests/fuzz)'
	@echo '  make gpu-check  with a GPU: build, test and measure there; writes experiments/gpu/'
	@echo '  make gpu-kit pack programs and tests for a GPU machine that is there for minutes'
	@echo '  make bundle  pack sources and packages into one archive for a machine without network'
	@echo '  make clean   remove $(BUILD)/ (runs and data stay)'
	@echo
	@echo '  then: cd $(BUILD) && ./train --model alternet && ./analyze --run last'
	@echo '  settings: BUILD=dir  JOBS=n  MINUTES=n  ARGS=... of gpu-check, gpu-kit'
	@echo '            CONFIG="-DPASSBAND_CUDA=OFF ..." (read when configuring)'
