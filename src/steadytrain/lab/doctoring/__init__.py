"""What the doctor says of planted faults and healthy programs, program by program, and the figures."""
