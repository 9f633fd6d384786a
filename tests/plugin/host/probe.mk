# Builds the probe: SOURCES is the plug-in's folder, OBJECTS where it is built.

# Before the included dependencies join the list.
VPATH := $(SOURCES) $(dir $(lastword $(MAKEFILE_LIST)))
NAMES = $(patsubst $(SOURCES)/%.cpp,%,$(wildcard $(SOURCES)/audio/*.cpp $(SOURCES)/files/*.cpp \
	$(SOURCES)/project/*.cpp $(SOURCES)/link/*.cpp $(SOURCES)/link/net/*.cpp)) instance parameters probe
CXXFLAGS = -std=c++17 -O1 -g -Wall -Wextra -pthread -I$(SOURCES) -MMD -MP \
	-DAUDIOLDM_VERSION='"0.1.0"' $(SANITIZER)

$(OBJECTS)/probe: $(NAMES:%=$(OBJECTS)/%.o)
	g++ -pthread $(SANITIZER) -o $@ $^

$(OBJECTS)/%.o: %.cpp
	@mkdir -p $(dir $@)
	g++ $(CXXFLAGS) -c -o $@ $<

-include $(NAMES:%=$(OBJECTS)/%.d)
