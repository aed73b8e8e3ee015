// Bytes of messages that this process has for its peers, and how many there may be: limits.rs.
#ifndef DHUB_LIMITS_HPP
#define DHUB_LIMITS_HPP

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <limits>
#include <string>

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

// What the connections of one user hold, together. One room is shared by all: so that nobody takes it
// from the others, with however many connections, each user may take as much as it leaves.
class dhub_account_t
{
  public:
    dhub_account_t (const std::string &user_id_, bool exempt_)
        : _held (0), _rests (false), _counted_max (dhub_total.load () / 2), _user_id (user_id_),
          _is_exempt (exempt_)
    {
    }

    const std::string &user_id () const { return _user_id; }
    bool is_exempt () const { return _is_exempt; }

    // Nothing is to be read from its connections.
    void rest (bool rests_) { _rests.store (rests_, std::memory_order_relaxed); }
    bool is_resting () const { return _rests.load (std::memory_order_relaxed); }

    // What it has beyond its share, as small messages of many connections, is not taken from others.
    void hold (int64_t bytes_)
    {
        const int64_t before = _held.fetch_add (bytes_);
        dhub_held.fetch_add (counted (before + bytes_) - counted (before));
    }

    void release (int64_t bytes_) { hold (-bytes_); }

    // Of messages and frames; small ones have it always.
    bool has_room_for (uint64_t size_) const
    {
        return size_ <= static_cast<uint64_t> (dhub_always)
               || size_ <= static_cast<uint64_t> (room ());
    }

    // What one direction of a connection may hold: a share of the room, so that however many take
    // their share, something is left for the next. Those that are exempt get theirs always.
    int64_t pipe_limit () const
    {
        if (!dhub_is_limited ())
            return std::numeric_limits<int64_t>::max ();
        const int64_t most = dhub_per_pipe.load (std::memory_order_relaxed);
        return std::min (most, std::max (dhub_always, room () / 4));
    }

  private:
    // With that it holds as much as it leaves. Whoever holds nothing may so take half of what is left.
    int64_t room () const
    {
        if (_is_exempt || !dhub_is_limited ())
            return std::numeric_limits<int64_t>::max ();
        return std::max<int64_t> (0, (dhub_left () - _held.load ()) / 2);
    }

    int64_t counted (int64_t held_) const { return std::min (held_, _counted_max); }

    std::atomic<int64_t> _held;
    std::atomic<bool> _rests;
    const int64_t _counted_max;
    const std::string _user_id;
    const bool _is_exempt;
};

// The account of a user id as the ZAP handler gave it; those that it gave none are one user. It is never
// freed: there are as many as the handler knows users.
dhub_account_t *dhub_account_of (const std::string &user_id_, bool exempt_);

// The room of the frame that is being received.
class dhub_room_t
{
  public:
    dhub_room_t () : _account (NULL), _reserved (0), _is_complete (true) {}
    ~dhub_room_t () { leave (); }

    void count (dhub_account_t *account_)
    {
        _account = account_ && !account_->is_exempt () ? account_ : NULL;
    }

    // False: there is none, and the connection is to be closed.
    bool enter (uint64_t size_)
    {
        leave ();
        if (!_account || size_ <= static_cast<uint64_t> (dhub_always))
            return true;
        if (!_account->has_room_for (size_)) {
            errno = ENOBUFS;
            return false;
        }
        _reserved = static_cast<int64_t> (size_);
        _is_complete = false;
        _account->hold (_reserved);
        return true;
    }

    void complete () { _is_complete = true; }
    bool is_receiving () const { return !_is_complete; }

    // The message is in a pipe, and counted there.
    void leave ()
    {
        if (_reserved != 0)
            _account->release (_reserved);
        _reserved = 0;
        _is_complete = true;
    }

  private:
    dhub_account_t *_account;
    int64_t _reserved;
    bool _is_complete;
};

// Connections that were accepted and are not known yet. 0: no limit.
extern std::atomic<int> dhub_handshakes;
extern std::atomic<int> dhub_handshakes_most;

// One of them, for as long as it is.
class dhub_handshake_t
{
  public:
    explicit dhub_handshake_t (bool accepted_) : _is_on (accepted_)
    {
        if (_is_on)
            dhub_handshakes.fetch_add (1);
    }
    ~dhub_handshake_t () { end (); }

    void end ()
    {
        if (_is_on)
            dhub_handshakes.fetch_sub (1);
        _is_on = false;
    }

  private:
    bool _is_on;
};

inline int64_t dhub_handshake_limit (int64_t max_)
{
    return max_ < 0 ? dhub_handshake_max : std::min (max_, dhub_handshake_max);
}
}

#endif
