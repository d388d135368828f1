"""Every kind of bad input ends in one line with the key, the value and what is valid, and makes nothing."""

import pytest

from nqs_hpc.config.compose import InputError, compose

HEISENBERG, RYDBERG = "hamiltonian=heisenberg", "hamiltonian=rydberg"
TORIC, BOSONS = "hamiltonian=toric_code", "hamiltonian=bose_hubbard"

DIRECT = "sampler=autoregressive"
PARTS = "ansatz=modulus_phase"
SPACE_GROUP = ["lattice=square", "lattice.length=33", "ansatz=gcnn", "ansatz.group=space_group"]  # 8712 elements
TIME, ANCHORED = ("task=dynamics", "ansatz.dtype=complex"), "ansatz=anchored"

# overrides, then what the line must hold: the key, the value, what is valid
BAD = [
    # the form of an override
    (["lattice"], "lattice", "lattice", "KEY=VALUE"),
    (["--lattice=chain"], "lattice", "chain", "KEY=VALUE"),
    (["lattice.extent=[4"], "lattice.extent", "[4", "KEY=VALUE"),
    (["run_dir=a=b"], "run_dir", "a=b", "quote"),
    (["~ansatz"], "ansatz", "~ansatz", "KEY=null"),
    (["seed=1", "seed=2"], "seed", "1 and 2", "one value"),
    (["lattice=chain", "lattice=square"], "lattice", "chain and square", "one value"),
    (["seed=1,2"], "seed", "1,2", "one value"),
    (["seed=range(1,4)"], "seed", "range(1,4)", "one value"),
    (["run_dir=${oc.env:HOME}"], "run_dir", "${oc.env:HOME}", "plain values"),
    (["ansatz._target_=os.system"], "ansatz._target_", "os.system", "plain values"),
    (
        ["optimizer.learning_rate={_target_: os.system}"],
        "optimizer.learning_rate._target_",
        "os.system",
        "plain values",
    ),
    (["hydra.run.dir=x"], "hydra.run.dir", "x", "lattice"),
    (["+experiment=tfim_chain"], "experiment", "+experiment", "experiment=tfim_chain"),
    # names
    (["latice=chain"], "latice", "chain", "did you mean lattice?"),
    (["lattice@here=chain"], "lattice@here", "chain", "hamiltonian"),
    (["lattice=squair"], "lattice", "squair", "did you mean square?"),
    (["lattice=null"], "lattice", "null", "chain, cubic"),
    (["lattice=[chain]"], "lattice", "[chain]", "kagome"),
    (["lattice={length: 4}"], "lattice", "{length: 4}", "kagome"),
    (["lattice=../hamiltonian/ising"], "lattice", "../hamiltonian/ising", "kagome"),
    (["hamiltonian=kitaev"], "hamiltonian", "kitaev", "bose_hubbard, fermion, heisenberg, hubbard, ising, pauli"),
    (["ansatz=gnn"], "ansatz", "gnn", "cnn, equinox, flax, gcnn, "),
    (["sampler=gibbs"], "sampler", "gibbs", "metropolis"),
    (["optimizer=lbfgs"], "optimizer", "lbfgs", "adam, minsr, sgd, sr"),
    (["task=dynamic"], "task", "dynamic", "did you mean dynamics?"),
    (["experiment=tfim_ring"], "experiment", "tfim_ring", "tfim_chain"),
    (["ansatz.alpa=2"], "ansatz.alpa", "2", "did you mean alpha?"),
    (["++ansatz.bogus=1"], "ansatz.bogus", "1", "alpha, dtype, bias, init_scale"),
    (["+checkpoint.evry_steps=1"], "checkpoint.evry_steps", "1", "did you mean every_steps?"),
    ([HEISENBERG, "hamiltonian.h=1.5"], "hamiltonian.h", "1.5", "J, delta, marshall"),
    (["sampler=enumerate", "sampler.n_chains=16"], "sampler.n_chains", "16", "valid: blur"),
    (["lattice.name=square"], "lattice.name", "square", "length, extent, pbc"),
    (["seed.x=1"], "seed.x", "1", "seed itself"),
    (["experiment.x=1"], "experiment.x", "1", "experiment itself"),
    # types
    (["precision=float32"], "precision", "float32", "precision.network, precision.solve"),
    (["seed=true"], "seed", "true", "a whole number, at least 0"),
    (["seed=1.5"], "seed", "1.5", "a whole number"),
    (["hamiltonian.J=true"], "hamiltonian.J", "true", "a number"),
    (["hamiltonian.h=strong"], "hamiltonian.h", "strong", "a number"),
    (["hamiltonian.h=null"], "hamiltonian.h", "null", "a number"),
    (["hamiltonian.h=nan"], "hamiltonian.h", "nan", "a number"),
    (["hamiltonian.h=[1,2]"], "hamiltonian.h", "[1, 2]", "a number"),
    ([HEISENBERG, "hamiltonian.J=[1,inf]"], "hamiltonian.J", "[1, inf]", "a list of such"),
    ([HEISENBERG, "hamiltonian.J=[]"], "hamiltonian.J", "[]", "a list of such"),
    (["lattice.pbc=1"], "lattice.pbc", "1", "true or false"),
    (["lattice.length=four"], "lattice.length", "four", "a whole number"),
    (["lattice.extent=6"], "lattice.extent", "6", "a list"),
    (["ansatz.bias=yes_please"], "ansatz.bias", "yes_please", "true or false"),
    (["ansatz.dtype=float"], "ansatz.dtype", "float", "real, complex"),
    (["ansatz=mlp", "ansatz.alphas=2"], "ansatz.alphas", "2", "a list"),
    (["ansatz=mlp", "ansatz.alphas=[]"], "ansatz.alphas", "[]", "a list"),
    (["ansatz=mlp", "ansatz.activation=gellu"], "ansatz.activation", "gellu", "did you mean gelu?"),
    (["run_dir=2024"], "run_dir", "2024", "a path"),
    (["run_dir=''"], "run_dir", "''", "a path"),
    (["log.progress=loud"], "log.progress", "loud", "auto, bar, lines"),
    (["precision.solve=float16"], "precision.solve", "float16", "float32, float64"),
    (["sector=half"], "sector", "half", "auto, or none, or a whole number"),
    # ranges
    (["seed=-1"], "seed", "-1", "at least 0"),
    ([f"seed={2**63}"], "seed", str(2**63), "below"),
    (["lattice.length=0"], "lattice.length", "0", "at least 1"),
    (["ansatz.alpha=0"], "ansatz.alpha", "0", "above 0"),
    (["ansatz.init_scale=-0.1"], "ansatz.init_scale", "-0.1", "above 0"),
    (["sampler.n_chains=0"], "sampler.n_chains", "0", "at least 2"),
    (["sampler.warmup=-1"], "sampler.warmup", "-1", "at least 0"),
    (["sampler.sweep=0"], "sampler.sweep", "0", "auto, or adaptive, or a whole number, at least 1"),
    (["optimizer.learning_rate=0"], "optimizer.learning_rate", "0", "above 0"),
    (["optimizer.max_norm=0"], "optimizer.max_norm", "0", "null, or a number above 0"),
    (["optimizer=sgd", "precision.solve=float32"], "precision.solve", "float32", "float64"),
    (["optimizer=sr", "optimizer.solver=cg", "optimizer.broadcast=true"], "optimizer.broadcast", "true", "false"),
    (["sampler.n_chains=1"], "sampler.n_chains", "1", "at least 2"),
    (["optimizer.average=1"], "optimizer.average", "1", "below 1"),
    (["optimizer.momentum=1.0"], "optimizer.momentum", "1.0", "below 1"),
    (["optimizer=adam", "optimizer.b1=1.0"], "optimizer.b1", "1.0", "below 1"),
    (["optimizer.solver=cg"], "optimizer.solver", "cg", "auto, cholesky, eigh"),
    (["task.n_steps=0"], "task.n_steps", "0", "at least 1"),
    (["task.final_samples=0"], "task.final_samples", "0", "at least 1"),
    (["checkpoint.keep=1"], "checkpoint.keep", "1", "at least 2"),
    (["checkpoint.every_steps=0"], "checkpoint.every_steps", "0", "null, or auto, or a whole number"),
    (["max_seconds=0"], "max_seconds", "0", "null, or a number above 0"),
    (["memory_gib=0"], "memory_gib", "0", "above 0"),
    (["chunk_size=0"], "chunk_size", "0", "null, or auto, or a whole number"),
    # schedules
    (["optimizer.learning_rate={schedule: steps}"], "optimizer.learning_rate.schedule", "steps", "constant, linear"),
    (["optimizer.learning_rate={value: 1}"], "optimizer.learning_rate.schedule", "null", "constant, linear"),
    (
        ["optimizer.learning_rate={schedule: linear, init_value: 1, end_value: 0}"],
        "optimizer.learning_rate.transition_steps",
        "null",
        "a whole number",
    ),
    (
        ["optimizer.learning_rate={schedule: constant, value: 1, decay_rate: 2}"],
        "optimizer.learning_rate.decay_rate",
        "2",
        "for schedule constant: value",
    ),
    (["optimizer.diag_shift={schedule: constant, value: -1}"], "optimizer.diag_shift.value", "-1", "at least 0"),
    (["optimizer.learning_rate={schedule: constant, value: 0}"], "optimizer.learning_rate", "0", "not 0 throughout"),
    (
        [
            "optimizer.learning_rate={schedule: warmup_cosine, init_value: 0, peak_value: 1, "
            "warmup_steps: 9, decay_steps: 9}"
        ],
        "optimizer.learning_rate.decay_steps",
        "9",
        "above warmup_steps",
    ),
    (["optimizer.diag_shift=0"], "optimizer.diag_shift", "0", "solver=eigh"),
    (
        ["optimizer.diag_shift={schedule: cosine, init_value: 1, decay_steps: 9}"],
        "optimizer.diag_shift",
        "init_value: 1",
        "above 0 throughout",
    ),
    # combinations
    (["lattice.length=1"], "lattice.length", "1", "at least 2"),
    (["lattice.extent=[1]"], "lattice.extent", "[1]", "at least 2"),
    (["lattice=square", "lattice.extent=[4]"], "lattice.extent", "[4]", "lattice=square has 2"),
    (["lattice.extent=[4,4]"], "lattice.extent", "[4, 4]", "lattice=chain has 1"),
    (["lattice.pbc=[true,false]"], "lattice.pbc", "[true, false]", "lattice=chain has 1"),
    (["lattice.length=null"], "lattice.length", "null", "lattice.extent"),
    (["lattice=cubic", "lattice.length=1000"], "lattice.length", "1000", "at most 65536"),
    ([HEISENBERG, "sector=21"], "sector", "21", "steps of 2"),
    ([HEISENBERG, "sector=22"], "sector", "22", "from -20 to 20"),
    ([HEISENBERG, "sector=20"], "sector", "20", "sampler=enumerate"),
    (["sector=0"], "sector", "0", "hamiltonian=ising with h other than 0"),
    (
        ["hamiltonian=pauli", "hamiltonian.terms=[{coefficient: 1, operators: X, sites: all}]", "sector=0"],
        "sector",
        "0",
        "none",
    ),
    (["sampler.move=exchange"], "sampler.move", "exchange", "auto or flip"),
    ([HEISENBERG, "sampler.move=flip"], "sampler.move", "flip", "auto or exchange"),
    (["sampler.n_chains=255", "sampler.n_samples=510"], "sampler.n_chains", "255", "a multiple of the 2 ranks"),
    (["sampler.n_samples=1000"], "sampler.n_samples", "1000", "a multiple of sampler.n_chains=256"),
    (["sampler.blur=1"], "sampler.blur", "1", "null, or auto, or a number above 0 and below 1"),
    (["sampler.blur=0"], "sampler.blur", "0", "null, or auto, or a number above 0 and below 1"),
    (["sampler.power=2.5"], "sampler.power", "2.5", "a number above 0 and at most 2"),
    (["sampler.blur=0.3", "sampler.sweep=adaptive"], "sampler.sweep", "adaptive", "sampler.blur=null"),
    (["sampler.power=1", "sampler.sweep={least: 3, most: 9}"], "sampler.sweep", "least", "sampler.power=2"),
    (["sampler=enumerate", "lattice.length=8", "sampler.blur=0.3"], "sampler.blur", "0.3", "sums over all states"),
    ([DIRECT, "ansatz=masked_dense", "sampler.power=1"], "sampler.power", "1", "blur, n_samples"),
    (["sampler.n_samples=65536"], "sampler.n_samples", "65536", "memory_gib"),
    (["sampler=enumerate", "lattice.length=23"], "sampler", "enumerate", "4194304 states"),
    (["sampler=enumerate"], "sampler", "enumerate", "memory_gib"),
    (
        [HEISENBERG, "hamiltonian.J=[1,0,0,7]", "lattice.length=4"],
        "hamiltonian.J",
        "[1.0, 0.0, 0.0, 7.0]",
        "orders 1-2",
    ),
    ([HEISENBERG, "hamiltonian.J=0"], "hamiltonian.J", "0", "other than 0"),
    (["hamiltonian.J=0", "hamiltonian.h=0"], "hamiltonian.J", "0", "hamiltonian.J, .h, .g"),
    ([HEISENBERG, "hamiltonian.marshall=true", "lattice=triangular"], "hamiltonian.marshall", "true", "sublattices"),
    (["ansatz.alpha=0.01"], "ansatz.alpha", "0.01", "one hidden unit"),
    # symmetries
    (
        ["symmetrize.group=translations", "symmetrize.momentum=1", "ansatz=cnn"],
        "symmetrize.momentum",
        "[1]",
        "null: ansatz=cnn is the same behind 20 of the group's elements",
    ),
    (
        ["symmetrize.group=translations", "symmetrize.momentum=1", "ansatz=vit", "lattice.length=6"],
        "symmetrize.momentum",
        "[1]",
        "null or another: ansatz=vit is the same behind 3 of",
    ),
    (["symmetrize.spin_flip=-1", "ansatz.bias=false"], "symmetrize.spin_flip", "-1", "the difference is 0"),
    (
        [
            *("symmetrize.spin_flip=-1", "ansatz=modulus_phase", "ansatz.modulus.bias=false"),
            *("ansatz.phase=rbm", "ansatz.phase.bias=false"),
        ],
        "symmetrize.spin_flip",
        "-1",
        "the difference is 0",
    ),
    (["symmetrize.mode=log_psi"], "symmetrize.mode", "log_psi", "psi without symmetrize.group"),
    (
        ["symmetrize.group=point_group", RYDBERG, "lattice=points", "lattice.file=atoms.txt"],
        "symmetrize.group",
        "point_group",
        "on no grid",
    ),
    (
        ["symmetrize.group=space_group", "symmetrize.irrep=A2", HEISENBERG, "lattice=honeycomb", "lattice.length=2"],
        "symmetrize.irrep",
        "A2",
        "none of the states",
    ),
    (["ansatz=modulus_phase", "ansatz.phase=flax"], "ansatz.phase", "flax", "cnn, gcnn, "),
    (["ansatz=modulus_phase", "ansatz.phase=gcnn", "ansatz.phase.momentum=1"], "ansatz.phase.dtype", "real", "null"),
    (["ansatz=modulus_phase", "ansatz.phase=gcnn", "ansatz.phase.irrep=A"], "ansatz.phase.irrep", "A", "space_group"),
    (
        ["symmetrize.spin_flip=1", "sampler=autoregressive", "ansatz=masked_dense"],
        "sampler",
        "autoregressive",
        "has no conditionals",
    ),
    (["symmetrize.group=rotations"], "symmetrize.group", "rotations", "translations, point_group, space_group"),
    (["symmetrize.spin_flip=0"], "symmetrize.spin_flip", "0", "1 or -1"),
    (["symmetrize.spin_flip=1", BOSONS], "symmetrize.spin_flip", "1", "bosons"),
    (["symmetrize.spin_flip=1", HEISENBERG, "sector=2"], "symmetrize.spin_flip", "1", "sector=2"),
    (["symmetrize.momentum=1"], "symmetrize.momentum", "[1]", "translations or space_group"),
    (["symmetrize.group=translations", "symmetrize.momentum=[1,0]"], "symmetrize.momentum", "[1, 0]", "1 periodic"),
    (["symmetrize.group=translations", "symmetrize.momentum=0.5"], "symmetrize.momentum", "0.5", "a whole number"),
    (["symmetrize.group=translations", "symmetrize.irrep=A"], "symmetrize.irrep", "A", "point_group or space_group"),
    (["symmetrize.group=point_group", "symmetrize.irrep=B1"], "symmetrize.irrep", "B1", "null, A, B"),
    (["symmetrize.mode=mean"], "symmetrize.mode", "mean", "psi, log_psi"),
    (["symmetrize.spin_flip=-1", "symmetrize.mode=log_psi"], "symmetrize.mode", "log_psi", "psi: a mean"),
    (["symmetrize.file=nowhere.txt"], "symmetrize.file", "nowhere.txt", "No such file"),
    (["symmetrize.file=ring.txt"], "symmetrize.file", "ring.txt", "line 1"),
    (["symmetrize.file=ring.txt", "symmetrize.group=translations"], "symmetrize.file", "ring.txt", "null"),
    (
        ["lattice=edges", "lattice.file=ring.txt", "symmetrize.group=translations"],
        "symmetrize.group",
        "translations",
        "symmetrize.file",
    ),
    (["ansatz=gcnn", "ansatz.momentum=1"], "ansatz.dtype", "real", "complex"),
    (["ansatz=gcnn", "ansatz.irrep=A"], "ansatz.irrep", "A", "ansatz.group=space_group"),
    (["ansatz=gcnn", "lattice=edges", "lattice.file=ring.txt"], "ansatz", "gcnn", "symmetrize.file"),
    (["ansatz=gcnn", "ansatz.features=2000"], "ansatz.features", "2000", "at most 409 for a group of 20 elements"),
    ([*SPACE_GROUP, "ansatz.features=1"], "ansatz.group", "space_group", "a smaller group"),
    (["ansatz=resnet", "lattice=square", TORIC], "ansatz", "resnet", "whose spins lie on links"),
    (["ansatz=vit", "lattice=square", TORIC, "lattice.pbc=false"], "ansatz.patch", "2", "are one cell"),
    (["ansatz=gcnn", "ansatz.features=0"], "ansatz.features", "0", "at least 1"),
    (["ansatz=gcnn", "symmetrize.group=translations"], "symmetrize.group", "translations", "ansatz.group"),
    (["ansatz=mlp", "ansatz.alphas=[2,0.01]"], "ansatz.alphas", "[2.0, 0.01]", "one hidden unit"),
    (["ansatz=vit", "lattice.length=9"], "ansatz.patch", "2", "divisors of the extent, [9]"),
    (["ansatz=vit", "ansatz.patch=[2,2]"], "ansatz.patch", "[2, 2]", "one number, or 1"),
    (["ansatz=vit", "ansatz.heads=5"], "ansatz.heads", "5", "a divisor of ansatz.width=32"),
    (["ansatz=vit", "lattice=edges", "lattice.file=ring.txt"], "ansatz.patch", "2", "lattice=edges has none"),
    # atoms
    ([RYDBERG, "hamiltonian.V=-7"], "hamiltonian.V", "-7", "at least 0"),
    ([RYDBERG, "hamiltonian.Omega=0"], "hamiltonian.Omega", "0", "other than 0"),
    ([RYDBERG, "hamiltonian.cutoff=0"], "hamiltonian.cutoff", "0", "null, or a number above 0"),
    ([RYDBERG, "hamiltonian.cutoff=0.9"], "hamiltonian.cutoff", "0.9", "at least 1, the distance"),
    ([RYDBERG, "lattice=square", "lattice.double_bonds=true"], "lattice.double_bonds", "true", "nearest image"),
    (
        ["hamiltonian=toric_code", "lattice=square", "lattice.double_bonds=true"],
        "lattice.double_bonds",
        "true",
        "false",
    ),
    (["lattice=edges", "lattice.file=ring.txt", "lattice.first_site=2"], "lattice.first_site", "2", "0 or 1"),
    (["lattice=edges", "lattice.file=ring.txt", "lattice.third_column=J"], "lattice.third_column", "J", "weight"),
    (
        ["lattice=edges", "lattice.file=ring.txt", "lattice.third_column=weight"],
        "lattice.file",
        "ring.txt",
        "i j weight",
    ),
    ([RYDBERG, "lattice=edges", "lattice.file=ring.txt"], "lattice", "edges", "lattice=points"),
    ([RYDBERG, "lattice.length=10000"], "hamiltonian", "rydberg", "at most 8192 atoms"),
    ([RYDBERG, "sector=0"], "sector", "0", "none"),
    (["lattice=points", RYDBERG], "lattice.file", "null", "a path"),
    (["lattice=points", "lattice.file=nowhere.txt", RYDBERG], "lattice.file", "nowhere.txt", "No such file"),
    (["lattice=points", "lattice.file=h.txt", RYDBERG], "lattice.file", "h.txt, line 2", "'x', 'x y' or 'x y z'"),
    (["lattice=points", "lattice.length=4"], "lattice.length", "4", "file"),
    # spins on links
    ([TORIC, "lattice=kagome"], "hamiltonian", "toric_code", "lattice=square"),
    ([TORIC], "hamiltonian", "toric_code", "this is lattice=chain"),
    ([TORIC, "lattice=edges", "lattice.file=ring.txt"], "hamiltonian", "toric_code", "lattice=square"),
    ([TORIC, "lattice=square", "lattice.extent=[1,4]", "lattice.pbc=false"], "lattice.extent", "[1, 4]", "2 vertices"),
    ([TORIC, "lattice=square", "sector=0"], "sector", "0", "none"),
    ([TORIC, "lattice=square", "hamiltonian.h=1"], "hamiltonian.h", "1", "hx, hy, hz"),
    # bosons
    ([BOSONS, "hamiltonian.n_max=0"], "hamiltonian.n_max", "0", "at least 1"),
    ([BOSONS, "hamiltonian.n_max=128"], "hamiltonian.n_max", "128", "below 128"),
    ([BOSONS, "hamiltonian.n_max=1", "sector=21"], "sector", "21", "0 to 20 bosons, hamiltonian.n_max=1"),
    ([BOSONS, "sector=81"], "sector", "81", "0 to 80 bosons, hamiltonian.n_max=4"),
    ([BOSONS, "sector=-1"], "sector", "-1", "0 to 80"),
    ([BOSONS, "sector=80"], "sector", "80", "sampler=enumerate"),
    ([BOSONS, "sampler.move=exchange"], "sampler.move", "exchange", "auto or hop"),
    ([BOSONS, "sampler.move=flip"], "sampler.move", "flip", "auto or hop"),
    ([BOSONS, "sector=none", "sampler.move=hop"], "sampler.move", "hop", "auto or flip"),
    ([BOSONS, "hamiltonian.J=0", "hamiltonian.U=0"], "hamiltonian.J", "0", "hamiltonian.J, .U, .mu"),
    ([BOSONS, "sampler=enumerate"], "sampler", "enumerate", "4194304 states"),
    ([HEISENBERG, "sampler.move=hop"], "sampler.move", "hop", "auto or exchange"),
    # somebody else's network
    (["ansatz=flax"], "ansatz.module", "null", "PACKAGE.MODULE:CLASS"),
    (["ansatz=flax", "ansatz.module=netket.models.RBM"], "ansatz.module", "netket.models.RBM", "PACKAGE.MODULE:CLASS"),
    (["ansatz=equinox", "ansatz.module=m:N", "ansatz.arguments={key: 1}"], "ansatz.arguments.key", "1", "the seed"),
    (["ansatz=flax", "ansatz.module=m:N", "ansatz.arguments=[1]"], "ansatz.arguments", "[1]", "a mapping"),
    (["ansatz=flax", "ansatz.module=m:N", "ansatz.arguments={1: 2}"], "ansatz.arguments.1", "2", "names"),
    # mixtures of moves, sweeps that adapt, ladders
    (["sampler.move={}"], "sampler.move", "{}", "a mapping {NAME: weight}"),
    (["sampler.move={flop: 1}"], "sampler.move.flop", "1", "flip, exchange, hop"),
    (["sampler.move={flip: 0}"], "sampler.move.flip", "0", "above 0"),
    ([HEISENBERG, "sampler.move={exchange: 3, flip: 1}"], "sampler.move.flip", "0.25", "would leave sector=0"),
    ([HEISENBERG, "sector=2", "sampler.move={exchange: 3, global_flip: 1}"], "sampler.move.global_flip", "0.25", "2"),
    ([HEISENBERG, "sampler.move=global_flip"], "sampler.move", "global_flip", "with exchange in it"),
    (["sampler.move={global_flip: 1, exchange: 1}"], "sampler.move", "exchange: 0.5", "with flip in it"),
    (["sampler.move={flip: 1, plaquette: 1}"], "sampler.move.plaquette", "0.5", "this is lattice=chain"),
    (["hamiltonian.h=0", "sector=none", "sampler.move=hamiltonian"], "sampler.move", "hamiltonian", "diagonal"),
    ([HEISENBERG, "sector=none", "sampler.move=hamiltonian"], "sampler.move", "hamiltonian", "auto or flip"),
    (
        [HEISENBERG, "lattice.length=6", "hamiltonian.J=[0,1]", "sampler.move=hamiltonian"],
        "sampler.move",
        "hamiltonian",
        "does not reach all states",
    ),
    ([TORIC, "lattice=square", "sampler.move=hamiltonian"], "sampler.move", "hamiltonian", "auto or flip"),
    ([BOSONS, "sampler.move={hop: 1, global_flip: 1}"], "sampler.move.global_flip", "0.5", "a move of spins"),
    (["sampler.sweep=adaptiv"], "sampler.sweep", "adaptiv", "auto, or adaptive, or a whole number"),
    (["sampler.sweep={least: 5, most: 4}"], "sampler.sweep.most", "4", "at least the 5 of least"),
    (["sampler.sweep={least: 5}"], "sampler.sweep", "{least: 5}", "{least: NUMBER, most: NUMBER}"),
    (["sampler.sweep=adaptive", "sampler.n_samples=256"], "sampler.sweep", "adaptive", "two samples a chain"),
    (["sampler=tempering", "sampler.sweep=adaptive"], "sampler.sweep", "adaptive", "sampler=tempering"),
    (["sampler=tempering", "sampler.beta_min=1"], "sampler.beta_min", "1", "below 1"),
    (["sampler=tempering", "sampler.n_replicas=1"], "sampler.n_replicas", "1", "at least 2"),
    (["sampler=tempering", "sampler.spacing=log"], "sampler.spacing", "log", "geometric, linear"),
    # files and Pauli strings
    (["lattice=edges"], "lattice.file", "null", "a path"),
    (["lattice=edges", "lattice.file=nowhere.txt"], "lattice.file", "nowhere.txt", "No such file"),
    (["lattice=edges", "lattice.file=loop.txt"], "lattice.file", "loop.txt, line 2", "two different sites"),
    (["lattice=edges", "lattice.file=far.txt"], "lattice.file", "far.txt", "at most 65536 sites"),
    (["hamiltonian=pauli"], "hamiltonian.terms", "null", "exactly one"),
    (
        [
            "hamiltonian=pauli",
            "hamiltonian.file=h.txt",
            "hamiltonian.terms=[{coefficient: 1, operators: X, sites: all}]",
        ],
        "hamiltonian.file",
        "h.txt",
        "exactly one",
    ),
    (["hamiltonian=pauli", "hamiltonian.terms=X0"], "hamiltonian.terms", "X0", "a list of"),
    (["hamiltonian=pauli", "hamiltonian.terms=[X0]"], "hamiltonian.terms", "X0", "coefficient: NUMBER"),
    (
        ["hamiltonian=pauli", "hamiltonian.terms=[{coefficient: 1, operators: ZZ, sites: [0,20]}]"],
        "hamiltonian.terms",
        "site 20",
        "0 to 19",
    ),
    (["hamiltonian=pauli", "hamiltonian.file=h.txt"], "hamiltonian.file", "line 3", "letter X, Y or Z"),
    (["checkpoint.every_seconds=often"], "checkpoint.every_seconds", "often", "auto, or a number above 0"),
    # what submit asks the queue for
    (["resources.time=0"], "resources.time", "0", "a minute at least"),
    (["resources.time=00:00:59"], "resources.time", "00:00:59", "HH:MM:SS"),
    (["resources.time=1h"], "resources.time", "1h", "HH:MM:SS"),
    (["resources.time=01:60:00"], "resources.time", "01:60:00", "HH:MM:SS"),
    (["resources.nodes=2"], "resources.nodes", "2", "at most resources.ranks=1"),
    (["resources.device=tpu"], "resources.device", "tpu", "cpu, gpu"),
    (
        ["resources.device=gpu", "resources.ranks=3", "resources.nodes=2"],
        "resources.nodes",
        "2",
        "a divisor of resources.ranks=3",
    ),
    # convolutions
    # autoregressive networks and direct sampling
    (["ansatz=masked_conv", "ansatz.kernel=1"], "ansatz.kernel", "1", "at least 2"),
    (["ansatz=masked_conv", "ansatz.kernel=21"], "ansatz.kernel", "21", "at most 20"),
    (
        ["ansatz=masked_conv", "lattice=kagome"],
        "ansatz",
        "masked_conv",
        "masked_dense, or one of lattice=chain, square",
    ),
    (["ansatz=masked_dense", "ansatz.activation=sin"], "ansatz.activation", "sin", "selu, gelu, tanh"),
    ([DIRECT], "sampler", "autoregressive", "metropolis: ansatz=rbm is not autoregressive"),
    ([DIRECT, PARTS], "sampler", "autoregressive", "metropolis: ansatz.modulus=rbm is not autoregressive"),
    ([DIRECT, "ansatz=masked_dense", "sampler.n_samples=1"], "sampler.n_samples", "1", "at least 2"),
    ([DIRECT, "ansatz=masked_dense", "sampler.n_samples=1023"], "sampler.n_samples", "1023", "multiple of the 2 ranks"),
    ([DIRECT, "ansatz=masked_dense", "sampler.n_samples=65536"], "sampler.n_samples", "65536", "memory_gib"),
    ([DIRECT, "ansatz=masked_dense", "sampler.warmup=5"], "sampler.warmup", "5", "n_samples"),
    (["ansatz=resnet", "ansatz.layers=3"], "ansatz.layers", "3", "an even number"),
    (["ansatz=resnet", "ansatz.kernel=21"], "ansatz.kernel", "21", "at most [20] by direction"),
    (["ansatz=cnn", "lattice.pbc=false", "ansatz.kernel=40"], "ansatz.kernel", "40", "at most [39] by direction"),
    (["ansatz=cnn", "ansatz.kernel=[3,3]"], "ansatz.kernel", "[3, 3]", "a list of 1"),
    (["ansatz=cnn", "ansatz.kernel=0"], "ansatz.kernel", "0", "at least 1"),
    (["ansatz=cnn", "lattice=kagome", "lattice.length=2"], "ansatz", "cnn", "chain, square, cubic or triangular"),
    (["ansatz=cnn", TORIC, "lattice=square", "lattice.length=3"], "ansatz", "cnn", "one site a cell"),
    (["ansatz=cnn", "lattice=edges", "lattice.file=ring.txt"], "ansatz", "cnn", "one site a cell"),
    # choices inside a choice
    ([PARTS, "ansatz.phase=mpl"], "ansatz.phase", "mpl", "did you mean mlp?"),
    ([PARTS, "ansatz.phase=modulus_phase"], "ansatz.phase", "modulus_phase", "cnn, gcnn, "),
    ([PARTS, "ansatz.phase=null"], "ansatz.phase", "null", "valid: backflow"),
    ([PARTS, "ansatz.phase={alphas: [1], name: 3}"], "ansatz.phase", "3", "valid: backflow"),
    ([PARTS, "ansatz.phas=mlp"], "ansatz.phas", "mlp", "did you mean phase?"),
    (
        [PARTS, "ansatz.phase.alpha=1"],
        "ansatz.phase.alpha",
        "1",
        "ansatz.phase=mlp has no key alpha; did you mean alphas?",
    ),
    ([PARTS, "ansatz.phase.alphas=0"], "ansatz.phase.alphas", "0", "a list"),
    ([PARTS, "ansatz.phase.alphas.x=0"], "ansatz.phase.alphas.x", "0", "alphas itself"),
    ([PARTS, "ansatz.phase.dtype=complex"], "ansatz.phase.dtype", "complex", "real"),
    ([PARTS, "ansatz.modulus=cnn", "ansatz.modulus.kernel=21"], "ansatz.modulus.kernel", "21", "at most [20]"),
    ([PARTS, "ansatz.modulus.alpha=0.01"], "ansatz.modulus.alpha", "0.01", "one hidden unit"),
    ([PARTS, "ansatz.modulus=rbm", "ansatz.modulus=cnn"], "ansatz.modulus", "rbm and cnn", "one value"),
    (["ansatz.phase=mlp"], "ansatz.phase", "mlp", "alpha, dtype, bias, init_scale"),
    # states to start from
    ([*TIME, "task.initial=plusx"], "task.initial", "plusx", "did you mean plus_x?"),
    ([*TIME, "task.initial=[1]"], "task.initial", "[1]", "Bloch angles"),
    ([*TIME, "task.initial=[[1,0],[0,1]]"], "task.initial", "[[1.0, 0.0], [0.0, 1.0]]", "a list of 20 pairs"),
    ([*TIME, "task.initial=neel", "lattice.length=7"], "task.initial", "neel", "of two sublattices"),
    (
        [*TIME, "task.initial=plus_x", "ansatz.bias=false", BOSONS, "hamiltonian.n_max=1"],
        "task.initial",
        "plus_x",
        "bias",
    ),
    ([*TIME, "task.initial=up", "ansatz.bias=false"], "task.initial", "up", "with ansatz.bias=true"),
    ([*TIME, "task.initial=up", HEISENBERG], "task.initial", "up", "in the space of total 0"),
    ([*TIME, "task.initial=up", "hamiltonian.h=0"], "task.initial", "up", "not along z"),
    ([*TIME, "task.initial=up", BOSONS], "task.initial", "up", "sites with two values"),
    ([*TIME, "task.initial=plus_x", BOSONS, "sector=none"], "task.initial", "plus_x", "null on sites with"),
    ([*TIME, "task.initial_bias=0"], "task.initial_bias", "0", "above 0"),
    ([*TIME, "task.initial=plus_x", "init_from=h.txt"], "init_from", "h.txt", "null with task.initial=plus_x"),
    (
        ["task=dynamics", "task.initial=up", "ansatz=mlp", "ansatz.dtype=complex"],
        "task.initial",
        "up",
        "ansatz=anchored",
    ),
    (
        ["task=dynamics", "task.time=imaginary", "task.initial=minus_x"],
        "task.initial",
        "minus_x",
        "ansatz.dtype=complex",
    ),
    (["ansatz=rbm_symm", "lattice.pbc=false"], "ansatz", "rbm_symm", "has translations"),
    (["ansatz=rbm_symm", "lattice=edges", "lattice.file=ring.txt"], "ansatz", "rbm_symm", "has translations"),
    ([ANCHORED, "ansatz.net=anchored"], "ansatz.net", "anchored", "valid: backflow"),
    ([ANCHORED, "ansatz.state=[0.3,0.1]"], "ansatz.net.dtype", "real", "a real network has no phases"),
    ([ANCHORED, "ansatz.state=neel", "lattice.length=7"], "ansatz.state", "neel", "of two sublattices"),
    (
        [ANCHORED, "ansatz.net=gcnn", "ansatz.net.dtype=complex", "ansatz.net.momentum=1"],
        "ansatz.net",
        "gcnn",
        "a network of momentum 0",
    ),
    (
        [ANCHORED, "ansatz.net.dtype=complex", "task=dynamics", "task.initial=minus_x"],
        "task.initial",
        "minus_x",
        "ansatz.state=plus_x",
    ),
    ([*TIME, "task.method=pvmc"], "task.method", "pvmc", "did you mean ptvmc?"),
    ([*TIME, "task.method=tvmc", "task.integrator=lpe"], "task.integrator", "lpe", "valid: euler, heun, rk23 or rk4"),
    ([*TIME, "task.method=ptvmc", "task.integrator=rk4"], "task.integrator", "rk4", "valid: lpe or slpe"),
    ([*TIME, "task.method=ptvmc", "task.integrator.order=5"], "task.integrator.order", "5", "below 5"),
    ([*TIME, "task.method=ptvmc", "task.method.infidelity=0"], "task.method.infidelity", "0", "above 0"),
    ([*TIME, "task.method=ptvmc", "task.method.iterations=1"], "task.method.iterations", "1", "at least 2"),
    ([*TIME, "task.method.infidelity=1e-8"], "task.method.infidelity", "1e-08", "task.method"),
    (
        ["task=dynamics", "task.time=imaginary", "task.method=ptvmc"],
        "task.integrator.order",
        "2",
        "valid: 1: factors of higher orders are complex",
    ),
    # the folder
    (["run_dir=h.txt"], "run_dir", "h.txt", "a folder"),
    (["run_dir=h.txt/run"], "run_dir", "h.txt/run", "a folder"),
    ([f"run_dir={'x' * 300}"], "run_dir", "xxx", "a folder"),
]


@pytest.fixture(autouse=True)
def somewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loop.txt").write_text("0 1\n2 2\n")
    (tmp_path / "far.txt").write_text("0 1\n0 2000000000\n")
    (tmp_path / "h.txt").write_text("# a comment\n1.0 Z0 Z1\n1.0 Q3\n")
    (tmp_path / "ring.txt").write_text("0 1\n1 2\n2 0\n")
    (tmp_path / "atoms.txt").write_text("0 0\n1 0\n0.5 0.9\n")
    yield
    given = {"loop.txt", "far.txt", "h.txt", "ring.txt", "atoms.txt"}
    assert {path.name for path in tmp_path.iterdir()} == given, "bad input made something"


@pytest.mark.parametrize(("overrides", "key", "value", "valid"), BAD, ids=[" ".join(row[0])[:80] for row in BAD])
def test_one_line(overrides, key, value, valid):
    with pytest.raises(InputError) as caught:
        compose(overrides, n_ranks=2)
    line = str(caught.value)
    assert len(line.splitlines()) == 1
    assert all(part in line for part in (key, value, valid)), line
    assert caught.value.__cause__ is None and "Traceback" not in line


def test_runs_that_is_a_file(tmp_path, monkeypatch):
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "runs").write_text("")
    monkeypatch.chdir(inside)
    with pytest.raises(InputError, match="runs is a file"):
        compose([], n_ranks=1)
    (inside / "runs").unlink()
    inside.rmdir()
    monkeypatch.chdir(tmp_path)
