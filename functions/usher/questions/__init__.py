"""What conditions ask AWS and the users' functions, apart from what beats and completes."""
