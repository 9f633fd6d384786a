#include "instance.hpp"

#include <exception>

namespace audioldm {

void Instance::setSampleRate(double rate) {
    processor.setSampleRate(rate);
    project.setSampleRate(rate);
}

void Instance::restore(const std::string& text) {
    try {
        project.restore(text);
    } catch (const std::exception& error) {
        link.say(error.what());
    }
}

} // namespace audioldm
