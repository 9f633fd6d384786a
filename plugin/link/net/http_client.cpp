#include "link/net/http_client.hpp"

#include <chrono>
#include <cstdlib>

namespace audioldm {

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr Milliseconds kSlice = 20ms;
/** Without any byte from the other side. */
constexpr auto kTimeout = 10s;
/** A take of ten minutes, stereo, 24 bits, 192 kHz. */
constexpr std::size_t kMaxBytes = std::size_t(1) << 30;

HttpResponse parse(const std::string& bytes) {
    HttpResponse response;
    const std::size_t space = bytes.find(' '), head = bytes.find("\r\n\r\n");
    if (bytes.rfind("HTTP/1.", 0) != 0 || head == std::string::npos)
        return response;
    response.status = std::atoi(bytes.c_str() + space + 1);
    response.body = bytes.substr(head + 4);
    return response;
}

/** A body that is shorter than announced: the connection broke. */
bool isComplete(const std::string& bytes) {
    const std::size_t head = bytes.find("\r\n\r\n");
    const std::string name = "content-length: ";
    std::size_t at = bytes.find(name);
    if (at == std::string::npos || at > head)
        at = bytes.find("Content-Length: ");
    if (at == std::string::npos || at > head)
        return true;
    return bytes.size() - head - 4 >= std::size_t(std::atoll(bytes.c_str() + at + name.size()));
}

} // namespace

HttpClient::HttpClient(std::string host, std::uint16_t port, std::string token,
                       WhileWaiting waiting)
    : host_(std::move(host)), token_(std::move(token)), port_(port), waiting_(std::move(waiting)) {}

HttpResponse HttpClient::request(const std::string& method, const std::string& path,
                                 const std::string& headers, const std::string& body) {
    std::string head = method + ' ' + path + " HTTP/1.0\r\nHost: " + host_ + ':' +
                       std::to_string(port_) + "\r\n" + headers;
    if (!token_.empty())
        head += "Authorization: Bearer " + token_ + "\r\n";
    if (!body.empty())
        head += "Content-Length: " + std::to_string(body.size()) + "\r\n";
    Socket socket;
    if (!connect(socket) || !send(socket, head + "\r\n" + body))
        return {};
    const std::string answer = receive(socket);
    return isComplete(answer) ? parse(answer) : HttpResponse{};
}

bool HttpClient::connect(Socket& socket) {
    if (!socket.openTcp(host_, port_))
        return false;
    const auto until = Clock::now() + kTimeout;
    while (!socket.canSend(kSlice))
        if (Clock::now() > until || !waiting_())
            return false;
    return true;
}

bool HttpClient::send(Socket& socket, const std::string& bytes) {
    auto until = Clock::now() + kTimeout;
    for (std::size_t sent = 0; sent < bytes.size();) {
        const long count =
            socket.canSend(kSlice) ? socket.send(bytes.data() + sent, bytes.size() - sent) : 0;
        if (count > 0) {
            sent += std::size_t(count);
            until = Clock::now() + kTimeout;
        }
        if (count < 0 || Clock::now() > until || !waiting_())
            return false;
    }
    return true;
}

std::string HttpClient::receive(Socket& socket) {
    std::string answer, part;
    auto until = Clock::now() + kTimeout;
    for (;;) {
        const Received got = socket.receive(kSlice, part);
        if (got == Received::refused || answer.size() > kMaxBytes)
            return answer;
        if (got == Received::bytes) {
            answer += part;
            until = Clock::now() + kTimeout;
        }
        if (Clock::now() > until || !waiting_())
            return {};
    }
}

} // namespace audioldm
