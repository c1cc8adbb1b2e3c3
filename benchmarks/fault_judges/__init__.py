"""What other tools say of the fault lab's programs, in the fault lab's own words."""
