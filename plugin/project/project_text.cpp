#include "project/project_text.hpp"

#include "project/numbers.hpp"

#include <array>
#include <sstream>
#include <stdexcept>

namespace audioldm {

namespace {

constexpr const char* kHeader = "audioldm-project 1";
constexpr std::array<const char*, 3> kSources{"rendered", "captured", "file"};

std::string escaped(const std::string& text) {
    std::string out;
    for (const char c : text)
        out += c == '\n' ? "\\n" : c == '\\' ? "\\\\" : std::string(1, c);
    return out;
}

std::string unescaped(const std::string& text) {
    std::string out;
    for (std::size_t k = 0; k < text.size(); ++k) {
        if (text[k] == '\\' && k + 1 < text.size())
            out += text[++k] == 'n' ? '\n' : text[k];
        else
            out += text[k];
    }
    return out;
}

/** Splits off what stands before the first space. */
std::string firstWord(std::string& rest) {
    const std::size_t space = rest.find(' ');
    const std::string word = rest.substr(0, space);
    rest = space == std::string::npos ? "" : rest.substr(space + 1);
    return word;
}

class Writer {
  public:
    void line(const std::string& name, const std::string& value) {
        text_ += name + ' ' + escaped(value) + '\n';
    }
    void line(const std::string& name, const SongPosition& position) {
        line(name, toText(position.frame) + ' ' + toText(position.sampleRate));
    }
    void line(const std::string& name, const Field& field) {
        const char type = "ifs"[field.value.index()];
        const auto shown = [](const auto& value) {
            if constexpr (std::is_same_v<std::decay_t<decltype(value)>, std::string>)
                return value;
            else
                return toText(value);
        };
        line(name, field.name + ' ' + type + ' ' + std::visit(shown, field.value));
    }
    void take(const TakeRecord& take);

    std::string text_ = std::string(kHeader) + '\n';
};

void Writer::take(const TakeRecord& take) {
    line("take", toText(take.number));
    line("source", kSources[std::size_t(take.source)]);
    line("path", take.path);
    line("anchor", take.anchor);
    line("kept", take.kept ? "1" : "0");
    if (take.request.kind.empty())
        return;
    line("seed", toText(take.seed));
    line("score", toText(take.score));
    line("silent", take.silent ? "1" : "0");
    line("kind", take.request.kind);
    line("words", take.request.prompt);
    for (const Field& field : take.request.fields)
        line("field", field);
}

SongPosition parsePosition(std::string value) {
    SongPosition position;
    position.frame = parsed<std::int64_t>(firstWord(value), 0);
    position.sampleRate = parsed<double>(value, 0);
    return position.sampleRate > 0 ? position : SongPosition{};
}

Field parseField(std::string value) {
    Field field;
    field.name = firstWord(value);
    const std::string type = firstWord(value);
    if (type == "i")
        field.value = parsed<std::int64_t>(value, 0);
    else if (type == "f")
        field.value = parsed<double>(value, 0);
    else
        field.value = value;
    return field;
}

TakeSource parseSource(const std::string& name) {
    for (std::size_t k = 0; k < kSources.size(); ++k)
        if (name == kSources[k])
            return TakeSource(k);
    return TakeSource::file;
}

void readTakeLine(TakeRecord& take, const std::string& name, const std::string& value) {
    if (name == "source")
        take.source = parseSource(value);
    else if (name == "path")
        take.path = value;
    else if (name == "anchor")
        take.anchor = parsePosition(value);
    else if (name == "kept")
        take.kept = value == "1";
    else if (name == "seed")
        take.seed = parsed<std::int64_t>(value, -1);
    else if (name == "score")
        take.score = parsed<double>(value, -2);
    else if (name == "silent")
        take.silent = value == "1";
    else if (name == "kind")
        take.request.kind = value;
    else if (name == "words")
        take.request.prompt = value;
    else if (name == "field")
        take.request.fields.push_back(parseField(value));
}

void readProjectLine(ProjectData& project, const std::string& name, const std::string& value) {
    if (name == "prompt")
        project.prompt = value;
    else if (name == "negative_prompt")
        project.negativePrompt = value;
    else if (name == "preset")
        project.preset = value;
    else if (name == "preset_field")
        project.presetFields.push_back(parseField(value));
    else if (name == "placement")
        project.placement = parsePosition(value);
}

} // namespace

std::string toText(const ProjectData& project) {
    Writer writer;
    writer.line("prompt", project.prompt);
    writer.line("negative_prompt", project.negativePrompt);
    writer.line("preset", project.preset);
    for (const Field& field : project.presetFields)
        writer.line("preset_field", field);
    writer.line("placement", project.placement);
    for (const TakeRecord& take : project.takes)
        writer.take(take);
    return writer.text_;
}

ProjectData fromText(const std::string& text) {
    ProjectData project;
    std::istringstream lines(text);
    std::string line;
    if (!std::getline(lines, line) || line != kHeader)
        throw std::runtime_error("this project was saved by another version of the plug-in");
    while (std::getline(lines, line)) {
        const std::string name = firstWord(line);
        const std::string value = unescaped(line);
        if (name == "take") {
            project.takes.emplace_back();
            project.takes.back().number = parsed<int>(value, 0);
        } else if (project.takes.empty()) {
            readProjectLine(project, name, value);
        } else {
            readTakeLine(project.takes.back(), name, value);
        }
    }
    return project;
}

} // namespace audioldm
