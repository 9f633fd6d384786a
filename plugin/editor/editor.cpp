#include "DistrhoUI.hpp"
START_NAMESPACE_DISTRHO
class E : public UI { public: E() : UI(760, 520) {} protected: void parameterChanged(uint32_t, float) override {} void stateChanged(const char*, const char*) override {} void onNanoDisplay() override {} };
UI* createUI() { return new E; }
END_NAMESPACE_DISTRHO
