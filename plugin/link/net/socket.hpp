// Sockets that never wait longer than they are told to.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace audioldm {

using Milliseconds = std::chrono::milliseconds;

enum class Received { bytes, nothing, refused };

class Socket {
  public:
    static constexpr std::intptr_t kNone = -1;

    Socket() = default;
    ~Socket() { close(); }
    Socket(const Socket&) = delete;
    Socket& operator=(const Socket&) = delete;

    /** UDP to one address: the system then tells where nobody listens. False: no such address. */
    bool openUdp(const std::string& host, std::uint16_t port);
    /** TCP; begins to connect. The name is looked up here, and only that may take seconds. */
    bool openTcp(const std::string& host, std::uint16_t port);
    void close();
    bool isOpen() const { return handle_ != kNone; }

    /** True when bytes can be sent (TCP: the connection stands), within `wait`. */
    bool canSend(Milliseconds wait) const;
    /** Bytes that were taken; negative: the connection is broken. */
    long send(const char* bytes, std::size_t count) const;
    /** The next datagram, or what has arrived of a stream. A stream that ended is `refused`. */
    Received receive(Milliseconds wait, std::string& bytes) const;

  private:
    bool open(const std::string& host, std::uint16_t port, int type);
    bool waitFor(short event, Milliseconds wait) const;

    std::intptr_t handle_ = kNone;
    bool isStream_ = false;
};

} // namespace audioldm
