"""What is asked: the kinds of request, their fields, and what a prompt can say."""
