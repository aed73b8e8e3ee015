// See limits.rs.
#include "dhub_limits.hpp"

#include <climits>
#include <map>
#include <mutex>

#include <sys/socket.h>

std::atomic<int64_t> zmq::dhub_held (0);
std::atomic<int64_t> zmq::dhub_total (0);
std::atomic<int64_t> zmq::dhub_per_pipe (0);
std::atomic<int> zmq::dhub_frame_ms (60 * 1000);
std::atomic<int> zmq::dhub_admitted (0);
std::atomic<int> zmq::dhub_admitted_most (0);

namespace
{
std::atomic<int> handshakes_most (0);
std::atomic<uint32_t> admitted_ever (0);

// Those whose peers are not known, in the order in which they came. Not destroyed: at the end of the process
// some may still be there.
struct shaking_t
{
    std::mutex turn;
    std::list<zmq::dhub_accepted_t *> list;
};

shaking_t &shaking_ones ()
{
    static shaking_t &shaking = *new shaking_t;
    return shaking;
}

// When there were no descriptors for more last, in milliseconds.
std::atomic<int64_t> full_at (0);
const int64_t full_for = 2000;

int64_t now_ms ()
{
    return std::chrono::duration_cast<std::chrono::milliseconds> (
             std::chrono::steady_clock::now ().time_since_epoch ())
      .count ();
}

// For so long each may take to say who it is, however many wait.
const std::chrono::milliseconds patience (500);
}

bool zmq::dhub_was_full ()
{
    const int64_t now = now_ms ();
    if (dhub_is_full ())
        full_at.store (now);
    const int64_t at = full_at.load ();
    return at != 0 && now < at + full_for;
}

zmq::dhub_accepted_t::dhub_accepted_t (int fd_, const endpoint_uri_pair_t &endpoint_) :
    _state (off), _fd (fd_), _since (std::chrono::steady_clock::now ())
{
    const bool is_ipc = endpoint_.local.compare (0, 3, "ipc") == 0;
    if (endpoint_.local_type != endpoint_type_bind || is_ipc)
        return;
    shaking_t &ones = shaking_ones ();
    const std::lock_guard<std::mutex> lock (ones.turn);
    _at = ones.list.insert (ones.list.end (), this);
    _state = shaking;
}

// False if it has left already.
bool zmq::dhub_accepted_t::leave_list ()
{
    shaking_t &ones = shaking_ones ();
    const std::lock_guard<std::mutex> lock (ones.turn);
    if (_state != shaking)
        return false;
    ones.list.erase (_at);
    _state = off;
    return true;
}

void zmq::dhub_accepted_t::admit ()
{
    if (leave_list ()) {
        dhub_admitted.fetch_add (1);
        //  After it: who reads this one first counts nobody in neither.
        admitted_ever.fetch_add (1);
        _state = admitted;
    }
}

void zmq::dhub_accepted_t::end ()
{
    if (!leave_list () && _state == admitted)
        dhub_admitted.fetch_sub (1);
    _state = off;
}

bool zmq::dhub_accepted_t::make_way (int most_)
{
    shaking_t &ones = shaking_ones ();
    const std::lock_guard<std::mutex> lock (ones.turn);
    if (ones.list.size () < static_cast<size_t> (most_))
        return true;
    dhub_accepted_t *const first = ones.list.front ();
    if (std::chrono::steady_clock::now () - first->_since < patience)
        return false;
    // It is still open, for it leaves the list before it is closed; libzmq closes it when it sees the end.
    shutdown (first->_fd, SHUT_RDWR);
    ones.list.pop_front ();
    first->_state = closed;
    return true;
}

zmq::dhub_account_t *zmq::dhub_account_of (const std::string &user_id_, bool exempt_)
{
    // Not destroyed: at the end of the process connections may still have theirs.
    typedef std::map<std::pair<std::string, bool>, dhub_account_t *> accounts_t;
    static accounts_t &accounts = *new accounts_t;
    static std::mutex &turn = *new std::mutex;
    const bool exempt = exempt_ || (!user_id_.empty () && user_id_[user_id_.size () - 1] == '*');
    const std::lock_guard<std::mutex> lock (turn);
    dhub_account_t *&account = accounts[std::make_pair (user_id_, exempt)];
    if (!account)
        account = new dhub_account_t (user_id_, exempt);
    return account;
}

extern "C" void dhub_zmq_limit_bytes(int64_t per_pipe, int64_t total)
{
    zmq::dhub_per_pipe.store(per_pipe);
    zmq::dhub_total.store(total);
}

extern "C" void dhub_zmq_limit_frame(int ms)
{
    zmq::dhub_frame_ms.store(ms);
}

extern "C" void dhub_zmq_limit_handshakes(int most)
{
    handshakes_most.store(most);
}

extern "C" int dhub_zmq_make_way()
{
    const int most = handshakes_most.load();
    return most == 0 || zmq::dhub_accepted_t::make_way(most);
}

extern "C" void dhub_zmq_limit_connections(int most)
{
    zmq::dhub_admitted_most.store(most);
}

extern "C" uint32_t dhub_zmq_connections_admitted()
{
    return admitted_ever.load();
}

extern "C" int dhub_zmq_connections_left()
{
    const int most = zmq::dhub_admitted_most.load();
    return most == 0 ? INT_MAX : most - zmq::dhub_admitted.load();
}

extern "C" void dhub_zmq_rest(const char *id, size_t size, int rests)
{
    // Over ipc it has another one.
    for (int exempt = 0; exempt != 2; ++exempt)
        zmq::dhub_account_of(std::string(id, size), exempt != 0)->rest(rests != 0);
}

extern "C" int64_t dhub_zmq_held_bytes()
{
    return zmq::dhub_held.load();
}
