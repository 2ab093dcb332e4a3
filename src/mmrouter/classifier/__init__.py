"""What is judged of a conversation, and what it is: three strategies behind one interface."""

import os

# A text's matrices are small. With more threads than one OpenBLAS spends ten times the computing on
# waiting (measured: 0.9 ms against 7.8 ms for 150 words on a busy machine), and the server has
# better uses for its cores. It reads this once, when numpy is first imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
