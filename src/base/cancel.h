#pragma once
// Cooperative cancellation: INT, TERM and HUP set a flag, long loops ask for it.

namespace llm2mnn {

/// Installs handlers for INT, TERM and HUP that only set the flag (not for those that this process inherited
/// as ignored). A write to a closed pipe or beyond `ulimit -f` becomes an ordinary error.
void install_cancel_handlers();
/// The signal that asked for the end, or 0.
int cancel_signal();
/// Throws Error(kCancelled) when a signal has arrived.
void throw_if_cancelled();
/// From here on signals no longer matter: the result is published.
void ignore_cancel_signals();

}  // namespace llm2mnn
