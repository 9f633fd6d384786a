"""What there is to know of a GPU, the cheapest questions first, within eight minutes."""
