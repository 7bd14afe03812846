"""py-amqp's lower API: methods by their ids, and functions of the application's that frames go through."""
