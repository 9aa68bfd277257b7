"""What people are asked: of all decisions those that teach most, and some by lot, within a daily budget."""
