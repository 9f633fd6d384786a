#include "link/request_json.hpp"

#include "link/net/json.hpp"
#include "project/numbers.hpp"

#include <algorithm>
#include <array>

namespace audioldm {

namespace {

bool isFlag(const std::string& name) {
    constexpr std::array<const char*, 3> flags{"loop", "say_tempo", "trim"};
    return std::find(flags.begin(), flags.end(), name) != flags.end();
}

std::string jsonValue(const std::string& name, const FieldValue& value) {
    if (const auto* text = std::get_if<std::string>(&value))
        return Json::quoted(*text);
    if (const auto* number = std::get_if<double>(&value))
        return toText(*number);
    const std::int64_t whole = std::get<std::int64_t>(value);
    return isFlag(name) ? (whole != 0 ? "true" : "false") : toText(whole);
}

std::string member(const std::string& name, const FieldValue& value) {
    return Json::quoted(name) + ':' + jsonValue(name, value);
}

} // namespace

std::string toJson(const Request& request) {
    std::string members = member("kind", request.kind) + ',' + member("prompt", request.prompt);
    std::string delivery;
    for (const Field& field : request.fields) {
        const std::size_t dot = field.name.find_first_of("./");
        if (dot == std::string::npos)
            members += ',' + member(field.name, field.value);
        else
            delivery +=
                (delivery.empty() ? "" : ",") + member(field.name.substr(dot + 1), field.value);
    }
    return '{' + members + ",\"delivery\":{" + delivery + "}}";
}

} // namespace audioldm
