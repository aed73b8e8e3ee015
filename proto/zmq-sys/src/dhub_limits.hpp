// Bytes of messages that this process has for its peers, and how many there may be: limits.rs.
#ifndef DHUB_LIMITS_HPP
#define DHUB_LIMITS_HPP

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <limits>

namespace zmq
{
// Of each connection, messages up to this many bytes are always let through, one at a time.
const int64_t dhub_always = 4096;

// What a frame may have before its sender is known.
const int64_t dhub_handshake_max = 4096;

// For reading a frame that was begun and is larger than dhub_always.
extern std::atomic<int> dhub_frame_ms;

// What a message costs beside its bytes, about.
const int64_t dhub_message_cost = 128;

// In pipes, being received and being sent, together.
extern std::atomic<int64_t> dhub_held;
// 0: no limit.
extern std::atomic<int64_t> dhub_total;
extern std::atomic<int64_t> dhub_per_pipe;

inline bool dhub_is_limited ()
{
    return dhub_total.load (std::memory_order_relaxed) != 0;
}

inline int64_t dhub_left ()
{
    return dhub_total.load (std::memory_order_relaxed) - dhub_held.load ();
}

// What one direction of a connection may hold: a share of what is left, so that however many take
// their share, something is left for the next. Those that are exempt get theirs always.
inline int64_t dhub_pipe_limit (bool exempt_)
{
    if (!dhub_is_limited ())
        return std::numeric_limits<int64_t>::max ();
    const int64_t most = dhub_per_pipe.load (std::memory_order_relaxed);
    return exempt_ ? most : std::min (most, std::max (dhub_always, dhub_left () / 8));
}

// The room of the frame that is being received.
class dhub_room_t
{
  public:
    dhub_room_t () : _reserved (0), _is_counted (false), _is_complete (true) {}
    ~dhub_room_t () { leave (); }

    void count () { _is_counted = true; }

    // False: there is none, and the connection is to be closed.
    bool enter (uint64_t size_)
    {
        leave ();
        if (!_is_counted || size_ <= static_cast<uint64_t> (dhub_always))
            return true;
        const int64_t size = static_cast<int64_t> (size_);
        if (size < 0 || size > dhub_left () / 2) {
            errno = ENOBUFS;
            return false;
        }
        _reserved = size;
        _is_complete = false;
        dhub_held.fetch_add (size);
        return true;
    }

    void complete () { _is_complete = true; }
    bool is_receiving () const { return !_is_complete; }

    // The message is in a pipe, and counted there.
    void leave ()
    {
        if (_reserved != 0)
            dhub_held.fetch_sub (_reserved);
        _reserved = 0;
        _is_complete = true;
    }

  private:
    int64_t _reserved;
    bool _is_counted;
    bool _is_complete;
};

inline int64_t dhub_handshake_limit (int64_t max_)
{
    return max_ < 0 ? dhub_handshake_max : std::min (max_, dhub_handshake_max);
}
}

#endif
