"""``python -m findna_bench``, as ``torchrun -m findna_bench`` starts it: the program ``findna-bench``."""

from findna_bench.cli import main

if __name__ == "__main__":
    main()
