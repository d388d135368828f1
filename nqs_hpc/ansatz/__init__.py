"""Wave functions: one file an ansatz, each a factory that returns the `Ansatz` of types.py, a tuple of pure functions.

A new ansatz is a file NAME.py here, whose docstring gives the formula and the paper, with a function
``NAME(sizes, *, options, dtype, init_scale, float_dtype) -> Ansatz`` that raises ValueError for options it cannot take:

1. ``init(key) -> params``, any pytree of arrays, and ``log_psi(params, s_N) -> scalar`` of one int8 configuration, with
   the ``kind`` of log psi: real, signed, complex or holomorphic. ``full_evaluation(init, log_psi, kind)`` is then all.
2. For cheaper ratios ``complete(init, log_psi, kind, attempt=...)``, with the functions below. Without rounding,
   ratios are those of full_evaluation; they may be -inf, but never NaN, and from psi(s) = 0 every log ratio is 0.
   ``freeze(params) -> frozen``: what all ratios of a step share. By default the parameters.
   ``prepare(frozen, s_N) -> cache``: what is kept for each configuration. By default nothing.
   ``attempt(frozen, s_N, cache, move) -> (log psi(s') - log psi(s), attempted)``.
   ``advance(frozen, s_N, cache, move, attempted, accepted) -> cache``. By default ``attempted`` is the new cache.
3. ``factors`` if the log-derivatives are outer products, ``conditionals`` if the wave function is autoregressive,
   ``whole=True`` if a ratio costs about a forward pass, ``log_ratios`` if K ratios at once cost less than one by one.

Shared parts: `activations`, `layers` (dtypes, dense ones), `convolution`, `conditionals`, `sector` (sums over groups).
One line in tests/ansatz/examples.py holds the ansatz to the contract; tests/ansatz/toy.py is the smallest example.
"""
