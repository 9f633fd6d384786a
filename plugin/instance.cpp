#include "instance.hpp"

namespace audioldm {

void Instance::setSampleRate(double rate) {
    processor.setSampleRate(rate);
    project.setSampleRate(rate);
}

} // namespace audioldm
