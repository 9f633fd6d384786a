# What DPF's makefile needs to know; called by the Makefile beside it, which prepares DPF.

NAME = audioldm
VERSION := $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' ../server/__init__.py)

FILES_DSP = plugin.cpp instance.cpp parameters.cpp $(wildcard audio/*.cpp files/*.cpp project/*.cpp link/*.cpp link/net/*.cpp)
FILES_UI = $(wildcard editor/*.cpp editor/*/*.cpp desktop/*.cpp)

DPF_TARGET_DIR = $(OUT)/bin
DPF_BUILD_DIR = $(OUT)/objects

include $(DPF_PATH)/Makefile.plugins.mk

# DPF's -ffast-math would make g++ link crtfastmath, which turns denormals off in the thread of the
# host that loads the plug-in. So the linker must see -fno-fast-math as well.
BUILD_CXX_FLAGS += -std=gnu++17 -pthread -Wall -Wextra -DAUDIOLDM_VERSION='"$(VERSION)"'
BUILD_CXX_FLAGS += -fno-fast-math
LINK_FLAGS += -pthread -fno-fast-math
ifneq ($(MACOS),true)
LINK_FLAGS += -static-libstdc++ -static-libgcc
endif
ifeq ($(WINDOWS),true)
BUILD_CXX_FLAGS += -DNOMINMAX -DWIN32_LEAN_AND_MEAN
LINK_FLAGS += -lws2_32 -lole32 -lshell32 -luuid -lcomctl32 -static
endif

all: vst3 lv2 clap $(TARGET_DIR)/$(NAME).lv2/manifest.ttl

$(TARGET_DIR)/$(NAME).lv2/manifest.ttl: $(lv2)
	$(MAKE) -C $(DPF_PATH)/utils/lv2-ttl-generator
	cd $(TARGET_DIR)/$(NAME).lv2 && $(abspath $(DPF_PATH))/utils/lv2_ttl_generator ./$(NAME)$(LIB_EXT)
