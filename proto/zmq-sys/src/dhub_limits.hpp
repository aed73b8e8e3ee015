// Bytes of messages that this process has for its peers, and how many there may be: limits.rs.
#ifndef DHUB_LIMITS_HPP
#define DHUB_LIMITS_HPP

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <limits>
#include <list>
#include <string>

#include "endpoint.hpp"

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

// What is said in place of the padding of a greeting, if there are no descriptors for more connections.
const unsigned char dhub_full[8] = {'d', 'h', 'u', 'b', 'f', 'u', 'l', 'l'};

// Connections over TCP that were accepted and whose peers are known; how many there may be. 0: no limit.
extern std::atomic<int> dhub_admitted;
extern std::atomic<int> dhub_admitted_most;

inline bool dhub_is_full ()
{
    const int most = dhub_admitted_most.load ();
    return most != 0 && dhub_admitted.load () >= most;
}

// The same, or it was so within the last two seconds: who was sent away just now is to learn why.
bool dhub_was_full ();

// One that was accepted over TCP, for as long as it is: on a list until its peer is known, for it may be
// closed to make way for others.
class dhub_accepted_t
{
  public:
    dhub_accepted_t (int fd_, const endpoint_uri_pair_t &endpoint_);
    ~dhub_accepted_t () { end (); }

    bool is_on () const { return _state != off; }
    // Its peer is known.
    void admit ();
    // To be called before its descriptor is closed.
    void end ();

    // Of those whose peers are not known there is one less than there may be, if need be since the first of
    // them is closed; false: none has had enough time for that.
    static bool make_way (int most_);

  private:
    dhub_accepted_t (const dhub_accepted_t &);
    const dhub_accepted_t &operator= (const dhub_accepted_t &);
    bool leave_list ();

    enum
    {
        off,
        shaking,
        closed,
        admitted
    } _state;
    const int _fd;
    const std::chrono::steady_clock::time_point _since;
    std::list<dhub_accepted_t *>::iterator _at;
};

inline int64_t dhub_handshake_limit (int64_t max_)
{
    return max_ < 0 ? dhub_handshake_max : std::min (max_, dhub_handshake_max);
}
}

#endif
