// What the editor does to the instance, each with what the host must be told.
#pragma once

#include "desktop/file_drag.hpp"
#include "editor/widgets/text_field.hpp"
#include "instance.hpp"

#include <functional>
#include <string>

namespace audioldm {

/** How an editor changes parameters, so that hosts record it. */
struct HostParameters {
    std::function<void(std::uint32_t, bool)> edit;
    std::function<void(std::uint32_t, float)> set;
};

class Actions {
  public:
    Actions(Instance& instance, HostParameters host, const Clipboard& clipboard);

    // Parameters
    void begin(std::uint32_t parameter) { host_.edit(parameter, true); }
    void end(std::uint32_t parameter) { host_.edit(parameter, false); }
    void move(std::uint32_t parameter, float value);
    void set(std::uint32_t parameter, float value);
    void toggle(std::uint32_t parameter);
    bool isOn(std::uint32_t parameter) const { return instance_.parameters.isOn(parameter); }

    // Jobs
    void setPrompt(const std::string& prompt);
    void setNegativePrompt(const std::string& prompt);
    void generate();
    void edit(const std::string& kind, const Selection& selection);
    void usePreset(const std::string& name);

    // Takes; those without a number are about the chosen one
    void choose(int number);
    void toggleComparison();
    void audition(int number);
    void auditionChosen();
    void keep();
    void remove(int number);
    void removeChosen();
    void addFile(const std::string& path);
    void copyPath();
    void reveal();
    /** Chosen take and new takes begin there. */
    void place(std::int64_t frame);
    void placeAtBar(const std::string& text);
    void placeHere();

    /** Lets a new take be the chosen one, if it was asked for here. */
    void watch(const ProjectView& project);

  private:
    ProjectView project() const { return instance_.project.view(); }
    int chosenNumber() const;
    /** No format here lets a plug-in say that its state changed; a parameter that changes does. */
    void touch();

    Instance& instance_;
    HostParameters host_;
    const Clipboard& clipboard_;
    /** The take that was chosen before, for comparing. */
    int other_ = 0;
    int newestSeen_ = 0;
    bool waitsForTake_ = false;
};

} // namespace audioldm
