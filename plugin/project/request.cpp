#include "project/request.hpp"

#include <algorithm>

namespace audioldm {

void Request::set(const std::string& name, FieldValue value) {
    const auto same = [&](const Field& field) { return field.name == name; };
    const auto found = std::find_if(fields.begin(), fields.end(), same);
    if (found == fields.end())
        fields.push_back({name, std::move(value)});
    else
        found->value = std::move(value);
}

const FieldValue* Request::find(const std::string& name) const {
    for (const Field& field : fields)
        if (field.name == name)
            return &field.value;
    return nullptr;
}

double Request::number(const std::string& name, double otherwise) const {
    const FieldValue* value = find(name);
    if (value == nullptr || std::holds_alternative<std::string>(*value))
        return otherwise;
    const auto* whole = std::get_if<std::int64_t>(value);
    return whole != nullptr ? double(*whole) : std::get<double>(*value);
}

std::string Request::text(const std::string& name) const {
    const FieldValue* value = find(name);
    const auto* text = value != nullptr ? std::get_if<std::string>(value) : nullptr;
    return text != nullptr ? *text : std::string();
}

} // namespace audioldm
